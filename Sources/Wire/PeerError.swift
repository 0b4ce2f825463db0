// SPDX-License-Identifier: Apache-2.0

/// The protocol's `Error`: what one peer tells the other about a request that failed.
public struct PeerError: Equatable, Sendable {
  /// The protocol's `ErrorCode`. Peers of other versions, and clients that pass local codes on, send values that are not
  /// named here: any value is kept.
  public struct Code: RawRepresentable, Hashable, Sendable {
    public let rawValue: Int32
    public init(rawValue: Int32) { self.rawValue = rawValue }

    public static let unspecified = Code(rawValue: 0)
    public static let unauthorized = Code(rawValue: 1000)
    public static let invalidRequest = Code(rawValue: 2000)
    public static let protocolVersionMissing = Code(rawValue: 2010)
    public static let protocolVersionInvalid = Code(rawValue: 2020)
    public static let protocolVersionIncompatible = Code(rawValue: 2030)
    public static let tunnelNotFound = Code(rawValue: 3000)
    public static let invalidStream = Code(rawValue: 4000)
    public static let featureNotAvailable = Code(rawValue: 5000)
    public static let serviceUnavailable = Code(rawValue: 6000)
    public static let capacityExhausted = Code(rawValue: 7000)
    public static let resourceConflict = Code(rawValue: 8000)
    public static let `internal` = Code(rawValue: 9000)
  }

  public var code: Code = .unspecified
  public var message: String?

  public init() {}

  public init(_ code: Code, _ message: String? = nil) {
    self.code = code
    self.message = message
  }
}

extension PeerError: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    switch field {
    case .varint(1): code = Code(rawValue: try reader.int32())
    case .bytes(2): try reader.wrapped(into: &message)
    default: try reader.skip(field)
    }
  }

  func write(to writer: inout ProtoWriter) {
    writer.int32(1, code.rawValue)
    writer.wrapped(2, message)
  }
}
