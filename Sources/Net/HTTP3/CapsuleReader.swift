// SPDX-License-Identifier: Apache-2.0

/// Takes the capsules out of a stream (RFC 9297, section 3.2): hands on HTTP datagrams and skips all others.
struct CapsuleReader {
  private static let datagram: UInt64 = 0x00
  /// Type and length, the longest that they can be.
  private static let headerSize = 16
  /// A UDP payload and the number of its context. Nothing larger could be passed on.
  private static let maximumDatagram = 65_535 + 8

  private var header: [UInt8] = []
  private var payload: [UInt8] = []
  /// Bytes of the current capsule that have not come yet.
  private var missing: UInt64 = 0
  private var isDatagram = false

  init() {
    header.reserveCapacity(Self.headerSize)
  }

  /// Whether the stream may end here.
  var isBetweenCapsules: Bool { header.isEmpty && missing == 0 && !isDatagram }

  /// - Parameter received: called with each datagram, borrowed for the call
  mutating func append(_ bytes: UnsafeRawBufferPointer, _ received: (UnsafeRawBufferPointer) -> Void) {
    var rest = bytes[...]
    while !rest.isEmpty || (isDatagram && missing == 0) {
      if missing == 0, !isDatagram {
        readHeader(&rest)
        continue
      }
      let count = Int(min(missing, UInt64(rest.count)))
      if isDatagram { payload.append(contentsOf: rest.prefix(count)) }
      rest = rest.dropFirst(count)
      missing -= UInt64(count)
      guard missing == 0 else { return }
      if isDatagram { payload.withUnsafeBytes(received) }
      isDatagram = false
      payload.removeAll(keepingCapacity: true)
    }
  }

  private mutating func readHeader(_ rest: inout Slice<UnsafeRawBufferPointer>) {
    while let byte = rest.popFirst() {
      header.append(byte)
      let found: (type: UInt64, length: UInt64)? = header.withUnsafeBytes { bytes in
        guard let type = VariableLengthInteger.read(bytes, from: 0),
          let length = VariableLengthInteger.read(bytes, from: type.end)
        else { return nil }
        return (type.value, length.value)
      }
      guard let found else { continue }
      header.removeAll(keepingCapacity: true)
      missing = found.length
      isDatagram = found.type == Self.datagram && found.length <= Self.maximumDatagram
      return
    }
  }
}
