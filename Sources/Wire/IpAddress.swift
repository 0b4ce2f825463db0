// SPDX-License-Identifier: Apache-2.0
import Glibc

/// An IP address as the protocol carries it.
public enum IpAddress: Equatable, Sendable {
  /// The message is there, but says nothing.
  case unset
  /// The address as a number: 192.0.2.10 is 0xC000020A.
  case v4(UInt32)
  /// The bytes in network order, as they came: only 16 of them are an address.
  case v6([UInt8])

  public init() { self = .unset }

  /// Reads "192.0.2.10" or "2001:db8::1"; nil for anything else, names and zones included.
  public init?(text: String) {
    // The C functions would stop at a NUL and take what is before it.
    guard !text.utf8.contains(0) else { return nil }
    var bytes = [UInt8](repeating: 0, count: 16)
    if unsafe inet_pton(AF_INET, text, &bytes) == 1 {
      self = .v4(bytes.prefix(4).reduce(0) { $0 << 8 | UInt32($1) })
    } else if unsafe inet_pton(AF_INET6, text, &bytes) == 1 {
      self = .v6(bytes)
    } else {
      return nil
    }
  }

  /// The usual form (RFC 5952); nil for what is not an address.
  public var text: String? {
    let family: Int32
    let bytes: [UInt8]
    switch self {
    case .unset: return nil
    case .v4(let number):
      family = AF_INET
      bytes = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
    case .v6(let held):
      guard held.count == 16 else { return nil }
      family = AF_INET6
      bytes = held
    }
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard unsafe inet_ntop(family, bytes, &text, socklen_t(text.count)) != nil else { return nil }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

extension IpAddress: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    switch field {
    case .fixed32(1): self = .v4(try reader.fixed32())
    case .bytes(2): self = .v6(try reader.byteString())
    default: try reader.skip(field)
    }
  }

  func write(to writer: inout ProtoWriter) {
    switch self {
    case .unset: break
    case .v4(let number): writer.presentFixed32(1, number)
    case .v6(let bytes): writer.presentBytes(2, bytes)
    }
  }
}
