// SPDX-License-Identifier: Apache-2.0

/// How often a client sends heartbeats, and how long silence means that the other side is gone.
public struct ControlChannelLiveness: Equatable, Sendable {
  public var heartbeatIntervalMS: UInt32 = 0
  /// 0 in a request: the engine decides.
  public var heartbeatTimeoutMS: UInt32 = 0

  public init() {}

  public init(heartbeatIntervalMS: UInt32, heartbeatTimeoutMS: UInt32 = 0) {
    self.heartbeatIntervalMS = heartbeatIntervalMS
    self.heartbeatTimeoutMS = heartbeatTimeoutMS
  }
}

extension ControlChannelLiveness: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    switch field {
    case .varint(1): heartbeatIntervalMS = try reader.uint32()
    case .varint(2): heartbeatTimeoutMS = try reader.uint32()
    default: try reader.skip(field)
    }
  }

  func write(to writer: inout ProtoWriter) {
    writer.uint32(1, heartbeatIntervalMS)
    writer.uint32(2, heartbeatTimeoutMS)
  }
}

/// Client to engine: the first frame of a control channel.
public struct OpenControlChannelReq: Equatable, Sendable {
  public var clientDetails: ClientDetails?
  public var liveness: ControlChannelLiveness?

  public init() {}

  public init(clientDetails: ClientDetails?, liveness: ControlChannelLiveness? = nil) {
    self.clientDetails = clientDetails
    self.liveness = liveness
  }
}

extension OpenControlChannelReq: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    switch field {
    case .bytes(1): try reader.merge(into: &clientDetails)
    case .bytes(2): try reader.merge(into: &liveness)
    default: try reader.skip(field)
    }
  }

  func write(to writer: inout ProtoWriter) {
    writer.message(1, clientDetails)
    writer.message(2, liveness)
  }
}

/// Engine to client: the control channel is open, or why not.
public struct OpenControlChannelRsp: Equatable, Sendable {
  public struct Ok: Equatable, Sendable {
    public var clientID = ""
    public var serverDetails: ServerDetails?
    /// Present only when the client asked for it.
    public var liveness: ControlChannelLiveness?

    public init() {}

    public init(clientID: String, serverDetails: ServerDetails? = nil, liveness: ControlChannelLiveness? = nil) {
      self.clientID = clientID
      self.serverDetails = serverDetails
      self.liveness = liveness
    }
  }

  public enum Payload: Equatable, Sendable {
    case ok(Ok)
    case error(PeerError)
  }

  public var payload: Payload?

  public init() {}
  public init(_ payload: Payload) { self.payload = payload }
}

extension OpenControlChannelRsp.Ok: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    switch field {
    case .bytes(1): clientID = try reader.string()
    case .bytes(2): try reader.merge(into: &serverDetails)
    case .bytes(3): try reader.merge(into: &liveness)
    default: try reader.skip(field)
    }
  }

  func write(to writer: inout ProtoWriter) {
    writer.string(1, clientID)
    writer.message(2, serverDetails)
    writer.message(3, liveness)
  }
}

extension OpenControlChannelRsp: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    switch field {
    case .bytes(1):
      try reader.merge(into: &payload, empty: nil, Payload.ok) {
        if case .ok(let held) = $0 { held } else { nil }
      }
    case .bytes(2):
      try reader.merge(into: &payload, empty: nil, Payload.error) {
        if case .error(let held) = $0 { held } else { nil }
      }
    default: try reader.skip(field)
    }
  }

  func write(to writer: inout ProtoWriter) {
    switch payload {
    case .ok(let ok): writer.message(1, ok)
    case .error(let error): writer.message(2, error)
    case nil: break
    }
  }
}

/// Client to engine: end the control channel and all its tunnels.
public struct CloseControlChannelReq: Equatable, Sendable, FieldlessMessage {
  public init() {}
}

/// Engine to client: the control channel has ended, asked for or not.
public struct CloseControlChannelRsp: Equatable, Sendable, FieldlessMessage {
  public init() {}
}

/// Client to engine with a sequence, engine to client with an acknowledgement; empty before protocol 1.4.5.
public struct Heartbeat: Equatable, Sendable {
  public var sequence: UInt64 = 0
  public var acknowledgement: UInt64 = 0

  public init() {}
  public init(sequence: UInt64) { self.sequence = sequence }
  public init(acknowledgement: UInt64) { self.acknowledgement = acknowledgement }
}

extension Heartbeat: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    switch field {
    case .varint(1): sequence = try reader.varint()
    case .varint(2): acknowledgement = try reader.varint()
    default: try reader.skip(field)
    }
  }

  func write(to writer: inout ProtoWriter) {
    writer.uint64(1, sequence)
    writer.uint64(2, acknowledgement)
  }
}

/// Engine to client: words for the person who runs it.
public struct ServerMessage: Equatable, Sendable {
  public var message = ""

  public init() {}
  public init(_ message: String) { self.message = message }
}

extension ServerMessage: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    if field == .bytes(1) { message = try reader.string() } else { try reader.skip(field) }
  }

  func write(to writer: inout ProtoWriter) { writer.string(1, message) }
}
