// SPDX-License-Identifier: Apache-2.0

/// Client to engine: make a tunnel.
public struct OpenTunnelReq: Equatable, Sendable {
  public var requestID = ""
  public var tunnelProperties: TunnelProperties?

  public init() {}

  public init(requestID: String, tunnelProperties: TunnelProperties?) {
    self.requestID = requestID
    self.tunnelProperties = tunnelProperties
  }
}

extension OpenTunnelReq: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    switch field {
    case .bytes(1): requestID = try reader.string()
    case .bytes(2): try reader.merge(into: &tunnelProperties)
    default: try reader.skip(field)
    }
  }

  func write(to writer: inout ProtoWriter) {
    writer.string(1, requestID)
    writer.message(2, tunnelProperties)
  }
}

/// Engine to client: the tunnel as it really is, or why there is none.
public struct OpenTunnelRsp: Equatable, Sendable {
  public enum Payload: Equatable, Sendable {
    case tunnelProperties(TunnelProperties)
    case error(PeerError)
  }

  public var requestID = ""
  public var payload: Payload?

  public init() {}

  public init(requestID: String, _ payload: Payload) {
    self.requestID = requestID
    self.payload = payload
  }
}

extension OpenTunnelRsp: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    switch field {
    case .bytes(1): requestID = try reader.string()
    case .bytes(2):
      try reader.merge(into: &payload, empty: nil, Payload.tunnelProperties) {
        if case .tunnelProperties(let held) = $0 { held } else { nil }
      }
    case .bytes(3):
      try reader.merge(into: &payload, empty: nil, Payload.error) {
        if case .error(let held) = $0 { held } else { nil }
      }
    default: try reader.skip(field)
    }
  }

  func write(to writer: inout ProtoWriter) {
    writer.string(1, requestID)
    switch payload {
    case .tunnelProperties(let properties): writer.message(2, properties)
    case .error(let error): writer.message(3, error)
    case nil: break
    }
  }
}

/// Client to engine: end a tunnel.
public struct CloseTunnelReq: Equatable, Sendable {
  public var tunnelID = ""

  public init() {}
  public init(tunnelID: String) { self.tunnelID = tunnelID }
}

extension CloseTunnelReq: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    if field == .bytes(1) { tunnelID = try reader.string() } else { try reader.skip(field) }
  }

  func write(to writer: inout ProtoWriter) { writer.string(1, tunnelID) }
}

/// Engine to client: the tunnel has ended; unasked for, it was revoked.
public struct CloseTunnelRsp: Equatable, Sendable {
  public var tunnelID = ""

  public init() {}
  public init(tunnelID: String) { self.tunnelID = tunnelID }
}

extension CloseTunnelRsp: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    if field == .bytes(1) { tunnelID = try reader.string() } else { try reader.skip(field) }
  }

  func write(to writer: inout ProtoWriter) { writer.string(1, tunnelID) }
}
