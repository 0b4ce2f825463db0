// SPDX-License-Identifier: Apache-2.0

/// Engine to owner, on the control channel: somebody wants a stream of a tunnel.
public struct ProxyConnReq: Equatable, Sendable {
  public var tunnelID = ""
  public var streamID = ""
  /// What the owner's `ProxyReq` has to show. Never to be logged.
  public var secret: String?
  public var sourceIP: IpAddress?
  /// Another engine that the owner has to dial for this stream.
  public var proxyEndpoint: String?

  public init() {}

  public init(
    tunnelID: String, streamID: String, secret: String? = nil, sourceIP: IpAddress? = nil,
    proxyEndpoint: String? = nil
  ) {
    self.tunnelID = tunnelID
    self.streamID = streamID
    self.secret = secret
    self.sourceIP = sourceIP
    self.proxyEndpoint = proxyEndpoint
  }
}

extension ProxyConnReq: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    switch field {
    case .bytes(1): tunnelID = try reader.string()
    case .bytes(2): streamID = try reader.string()
    case .bytes(3): try reader.wrapped(into: &secret)
    case .bytes(4): try reader.merge(into: &sourceIP)
    case .bytes(5): try reader.wrapped(into: &proxyEndpoint)
    default: try reader.skip(field)
    }
  }

  func write(to writer: inout ProtoWriter) {
    writer.string(1, tunnelID)
    writer.string(2, streamID)
    writer.wrapped(3, secret)
    writer.message(4, sourceIP)
    writer.wrapped(5, proxyEndpoint)
  }
}

/// Owner to engine, on the control channel: the stream was delivered, or will not come.
public struct ProxyConnRsp: Equatable, Sendable {
  public var streamID = ""
  public var error: PeerError?

  public init() {}

  public init(streamID: String, error: PeerError? = nil) {
    self.streamID = streamID
    self.error = error
  }
}

extension ProxyConnRsp: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    switch field {
    case .bytes(1): streamID = try reader.string()
    case .bytes(2): try reader.merge(into: &error)
    default: try reader.skip(field)
    }
  }

  func write(to writer: inout ProtoWriter) {
    writer.string(1, streamID)
    writer.message(2, error)
  }
}

/// Owner to engine: the first frame of the connection that carries the stream.
public struct ProxyReq: Equatable, Sendable {
  public var clientDetails: ClientDetails?
  public var streamID = ""
  /// True: no `ProxyRsp` comes, bytes follow at once.
  public var zeroRTT: Bool?

  public init() {}

  public init(clientDetails: ClientDetails?, streamID: String, zeroRTT: Bool?) {
    self.clientDetails = clientDetails
    self.streamID = streamID
    self.zeroRTT = zeroRTT
  }
}

extension ProxyReq: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    switch field {
    case .bytes(1): try reader.merge(into: &clientDetails)
    case .bytes(2): streamID = try reader.string()
    case .bytes(3): try reader.wrapped(into: &zeroRTT)
    default: try reader.skip(field)
    }
  }

  func write(to writer: inout ProtoWriter) {
    writer.message(1, clientDetails)
    writer.string(2, streamID)
    writer.wrapped(3, zeroRTT)
  }
}

/// Engine to owner: bytes may flow, or why not.
public struct ProxyRsp: Equatable, Sendable {
  public var error: PeerError?

  public init() {}
  public init(error: PeerError?) { self.error = error }
}

extension ProxyRsp: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    if field == .bytes(1) { try reader.merge(into: &error) } else { try reader.skip(field) }
  }

  func write(to writer: inout ProtoWriter) { writer.message(1, error) }
}

/// Dialer to engine: the first frame of a connection that wants a stream of a tunnel.
public struct StreamReq: Equatable, Sendable {
  public var clientDetails: ClientDetails?
  /// The protocol's `tunnel_id_name`.
  public var tunnelIDOrName = ""
  /// True: no `StreamRsp` comes, bytes follow at once.
  public var zeroRTT: Bool?
  /// True: packets are to travel as QUIC datagrams.
  public var datagramChannel: Bool?

  public init() {}

  public init(clientDetails: ClientDetails?, tunnelIDOrName: String, zeroRTT: Bool?, datagramChannel: Bool? = nil) {
    self.clientDetails = clientDetails
    self.tunnelIDOrName = tunnelIDOrName
    self.zeroRTT = zeroRTT
    self.datagramChannel = datagramChannel
  }
}

extension StreamReq: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    switch field {
    case .bytes(1): try reader.merge(into: &clientDetails)
    case .bytes(2): tunnelIDOrName = try reader.string()
    case .bytes(3): try reader.wrapped(into: &zeroRTT)
    case .bytes(4): try reader.wrapped(into: &datagramChannel)
    default: try reader.skip(field)
    }
  }

  func write(to writer: inout ProtoWriter) {
    writer.message(1, clientDetails)
    writer.string(2, tunnelIDOrName)
    writer.wrapped(3, zeroRTT)
    writer.wrapped(4, datagramChannel)
  }
}

/// Engine to dialer: bytes may flow, or why not.
public struct StreamRsp: Equatable, Sendable {
  public enum Payload: Equatable, Sendable {
    case streamID(String)
    case error(PeerError)
  }

  public var payload: Payload?

  public init() {}
  public init(_ payload: Payload) { self.payload = payload }
}

extension StreamRsp: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    switch field {
    case .bytes(1): payload = .streamID(try reader.string())
    case .bytes(2):
      try reader.merge(into: &payload, empty: nil, Payload.error) {
        if case .error(let held) = $0 { held } else { nil }
      }
    default: try reader.skip(field)
    }
  }

  func write(to writer: inout ProtoWriter) {
    switch payload {
    case .streamID(let streamID): writer.presentString(1, streamID)
    case .error(let error): writer.message(2, error)
    case nil: break
    }
  }
}

/// Both directions: a QUIC datagram channel has ended.
public struct DatagramChannelClose: Equatable, Sendable {
  public var streamID = ""
  public var error: PeerError?

  public init() {}

  public init(streamID: String, error: PeerError? = nil) {
    self.streamID = streamID
    self.error = error
  }

  /// What was wrong, unless the channel was closed in order: an error that says nothing is none.
  public var trouble: PeerError? { error == PeerError() ? nil : error }
}

extension DatagramChannelClose: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    switch field {
    case .bytes(1): streamID = try reader.string()
    case .bytes(2): try reader.merge(into: &error)
    default: try reader.skip(field)
    }
  }

  func write(to writer: inout ProtoWriter) {
    writer.string(1, streamID)
    writer.message(2, error)
  }
}
