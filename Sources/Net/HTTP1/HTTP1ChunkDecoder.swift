// SPDX-License-Identifier: Apache-2.0

/// Takes the chunked coding off a body (RFC 9112 7.1), strictly: CR and LF where they belong and nowhere else.
struct HTTP1ChunkDecoder {
  enum Step {
    /// So many bytes at the beginning are body.
    case body(Int)
    /// So many bytes at the beginning are framing.
    case framing(Int)
    /// So many bytes at the beginning are framing, after which the trailer section begins.
    case trailers(Int)
  }

  private enum State {
    case size
    case afterSize
    case extensions
    case sizeEnd
    case data
    case dataCR
    case dataLF
  }

  /// A line with a chunk's size is hardly ever longer than ten bytes; extensions are read and dropped.
  private static let maximumLineBytes = 1024

  private var state = State.size
  private var remaining: UInt64 = 0
  private var digits = 0
  private var lineBytes = 0

  /// Takes a first part of the bytes, at least one.
  mutating func next(_ bytes: UnsafeRawBufferPointer) throws(HTTP1Error) -> Step {
    if state == .data {
      let count = Int(min(UInt64(bytes.count), remaining))
      remaining -= UInt64(count)
      if remaining == 0 { state = .dataCR }
      return .body(count)
    }
    var index = 0
    while index < bytes.count {
      let byte = bytes[index]
      index += 1
      if state == .sizeEnd {
        guard byte == 0x0A else { throw HTTP1Error("a chunk's size is not followed by CR LF") }
        state = remaining == 0 ? .size : .data
        return remaining == 0 ? .trailers(index) : .framing(index)
      }
      try take(byte)
    }
    return .framing(index)
  }

  private mutating func take(_ byte: UInt8) throws(HTTP1Error) {
    switch state {
    case .size:
      try takeSize(byte)
    case .afterSize, .extensions:
      try takeExtension(byte)
    case .dataCR:
      guard byte == 0x0D else { throw HTTP1Error("a chunk is longer than its size says") }
      state = .dataLF
    case .dataLF:
      guard byte == 0x0A else { throw HTTP1Error("a chunk is not followed by CR LF") }
      state = .size
      digits = 0
      lineBytes = 0
    case .sizeEnd, .data:
      break
    }
  }

  private mutating func takeSize(_ byte: UInt8) throws(HTTP1Error) {
    if let digit = HTTP1ChunkDecoder.hexadecimal(byte) {
      digits += 1
      // 15 digits leave room for every size there is, and the number cannot overflow.
      guard digits <= 15 else { throw HTTP1Error("a chunk's size is too large") }
      remaining = remaining << 4 | UInt64(digit)
      return
    }
    guard digits > 0 else { throw HTTP1Error("a chunk's size is not a hexadecimal number") }
    state = .afterSize
    try takeExtension(byte)
  }

  private mutating func takeExtension(_ byte: UInt8) throws(HTTP1Error) {
    lineBytes += 1
    guard lineBytes <= HTTP1ChunkDecoder.maximumLineBytes else { throw HTTP1Error("a chunk's size line is too long") }
    switch byte {
    case 0x0D:
      state = .sizeEnd
    case UInt8(ascii: ";"):
      state = .extensions
    case _ where HTTPCharacter.isSpace(byte):
      break
    case _ where state == .extensions && HTTPCharacter.isFieldValue(byte):
      break
    default:
      throw HTTP1Error("a chunk's size is followed by something else than an extension")
    }
  }

  private static func hexadecimal(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x41 + 10
    case 0x61...0x66: byte - 0x61 + 10
    default: nil
    }
  }
}
