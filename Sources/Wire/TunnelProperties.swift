// SPDX-License-Identifier: Apache-2.0

/// What a tunnel is asked to be, or is. Nil and false differ: nil leaves the decision to the engine. Empty lists and
/// labels mean that nothing was said.
public struct TunnelProperties: Equatable, Sendable {
  /// Set by the engine.
  public var id: String?
  /// Set by the engine.
  public var creationDate: Timestamp?
  public var name: String?
  /// "bytestream" or "datagram".
  public var type: String?
  public var publish: Bool?
  /// "tls", "tcp", "dtls", "quic" or "http".
  public var `protocol`: String?
  public var labels = Labels()
  public var geoip: [String] = []
  public var trustedIPs: [String] = []
  /// Set by the engine for clients that do not know `hostname`.
  public var host: String?
  /// "passthrough" or "terminated".
  public var tlsMode: String?
  public var tlsALPNs: [String] = []
  /// "tls1.2" or "tls1.3".
  public var tlsMinVersion: String?
  public var tlsCiphers: [String] = []
  public var mtlsAuth: Bool?
  public var mtlsCACertPEM: String?
  /// "http/1.1", "h2", "h2c" or "h3": what the upstream speaks.
  public var httpVersion: String?
  /// From clients that do not know `upstreamTLS`.
  public var httpUseTLS: Bool?
  public var tokenAuth: Bool?
  public var rstreamAuth: Bool?
  public var challengeMode: Bool?
  public var hostname: String?
  public var port: UInt32?
  public var upstreamTLS: Bool?
  public var datagramGuaranteedDelivery: Bool?
  public var allowCrossRegionRouting: Bool?

  public init() {}
}

extension TunnelProperties: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    switch field {
    case .bytes(1): try reader.wrapped(into: &id)
    case .bytes(2): try reader.merge(into: &creationDate)
    case .bytes(3): try reader.wrapped(into: &name)
    case .bytes(4): try reader.wrapped(into: &type)
    case .bytes(5): try reader.wrapped(into: &publish)
    case .bytes(6): try reader.wrapped(into: &`protocol`)
    case .bytes(7):
      var entry = LabelEntry()
      try reader.merge(into: &entry)
      entry.set(in: &labels)
    case .bytes(8): geoip.append(try reader.string())
    case .bytes(9): trustedIPs.append(try reader.string())
    case .bytes(10): try reader.wrapped(into: &host)
    case .bytes(11): try reader.wrapped(into: &tlsMode)
    case .bytes(12): tlsALPNs.append(try reader.string())
    case .bytes(13): try reader.wrapped(into: &tlsMinVersion)
    case .bytes(14): tlsCiphers.append(try reader.string())
    case .bytes(15): try reader.wrapped(into: &mtlsAuth)
    case .bytes(16): try reader.wrapped(into: &mtlsCACertPEM)
    case .bytes(17): try reader.wrapped(into: &httpVersion)
    case .bytes(18): try reader.wrapped(into: &httpUseTLS)
    case .bytes(19): try reader.wrapped(into: &tokenAuth)
    case .bytes(20): try reader.wrapped(into: &rstreamAuth)
    case .bytes(21): try reader.wrapped(into: &challengeMode)
    case .bytes(22): try reader.wrapped(into: &hostname)
    case .bytes(23): try reader.wrapped(into: &port)
    case .bytes(24): try reader.wrapped(into: &upstreamTLS)
    case .bytes(25): try reader.wrapped(into: &datagramGuaranteedDelivery)
    case .bytes(26): try reader.wrapped(into: &allowCrossRegionRouting)
    default: try reader.skip(field)
    }
  }

  func write(to writer: inout ProtoWriter) {
    writer.wrapped(1, id)
    writer.message(2, creationDate)
    writer.wrapped(3, name)
    writer.wrapped(4, type)
    writer.wrapped(5, publish)
    writer.wrapped(6, `protocol`)
    for (name, value) in labels { writer.message(7, LabelEntry(name: name, value: value)) }
    for country in geoip { writer.presentString(8, country) }
    for network in trustedIPs { writer.presentString(9, network) }
    writer.wrapped(10, host)
    writer.wrapped(11, tlsMode)
    for alpn in tlsALPNs { writer.presentString(12, alpn) }
    writer.wrapped(13, tlsMinVersion)
    for cipher in tlsCiphers { writer.presentString(14, cipher) }
    writer.wrapped(15, mtlsAuth)
    writer.wrapped(16, mtlsCACertPEM)
    writer.wrapped(17, httpVersion)
    writer.wrapped(18, httpUseTLS)
    writer.wrapped(19, tokenAuth)
    writer.wrapped(20, rstreamAuth)
    writer.wrapped(21, challengeMode)
    writer.wrapped(22, hostname)
    writer.wrapped(23, port)
    writer.wrapped(24, upstreamTLS)
    writer.wrapped(25, datagramGuaranteedDelivery)
    writer.wrapped(26, allowCrossRegionRouting)
  }
}

/// google.protobuf.Timestamp: a moment in UTC, as it came; ranges are not checked.
public struct Timestamp: Equatable, Sendable {
  /// Since 1970-01-01T00:00:00Z.
  public var seconds: Int64 = 0
  /// 0 to 999,999,999, counted forward from `seconds`.
  public var nanos: Int32 = 0

  public init() {}

  public init(seconds: Int64, nanos: Int32 = 0) {
    self.seconds = seconds
    self.nanos = nanos
  }
}

extension Timestamp: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    switch field {
    case .varint(1): seconds = try reader.int64()
    case .varint(2): nanos = try reader.int32()
    default: try reader.skip(field)
    }
  }

  func write(to writer: inout ProtoWriter) {
    writer.int64(1, seconds)
    writer.int32(2, nanos)
  }
}
