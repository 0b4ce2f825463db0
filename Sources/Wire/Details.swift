// SPDX-License-Identifier: Apache-2.0

/// Who a client is, and how it proves it.
public struct ClientDetails: Equatable, Sendable {
  public var agent: String?
  public var channel: String?
  public var version: String?
  public var os: String?
  public var arch: String?
  /// The client's token; in a `ProxyReq` the secret of the stream. Never to be logged.
  public var token: String?
  public var protocolVersion: String?

  public init() {}

  public init(
    agent: String? = nil, channel: String? = nil, version: String? = nil, os: String? = nil, arch: String? = nil,
    token: String? = nil, protocolVersion: String? = nil
  ) {
    self.agent = agent
    self.channel = channel
    self.version = version
    self.os = os
    self.arch = arch
    self.token = token
    self.protocolVersion = protocolVersion
  }
}

extension ClientDetails: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    switch field {
    case .bytes(1): try reader.wrapped(into: &agent)
    case .bytes(2): try reader.wrapped(into: &channel)
    case .bytes(3): try reader.wrapped(into: &version)
    case .bytes(4): try reader.wrapped(into: &os)
    case .bytes(5): try reader.wrapped(into: &arch)
    case .bytes(6): try reader.wrapped(into: &token)
    case .bytes(7): try reader.wrapped(into: &protocolVersion)
    default: try reader.skip(field)
    }
  }

  func write(to writer: inout ProtoWriter) {
    writer.wrapped(1, agent)
    writer.wrapped(2, channel)
    writer.wrapped(3, version)
    writer.wrapped(4, os)
    writer.wrapped(5, arch)
    writer.wrapped(6, token)
    writer.wrapped(7, protocolVersion)
  }
}

/// Which engine answered.
public struct ServerDetails: Equatable, Sendable {
  public var agent: String?
  public var channel: String?
  public var version: String?
  public var plan: String?
  public var provider: String?
  public var region: String?
  public var update: String?

  public init() {}

  public init(
    agent: String? = nil, channel: String? = nil, version: String? = nil, plan: String? = nil,
    provider: String? = nil, region: String? = nil, update: String? = nil
  ) {
    self.agent = agent
    self.channel = channel
    self.version = version
    self.plan = plan
    self.provider = provider
    self.region = region
    self.update = update
  }
}

extension ServerDetails: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    switch field {
    case .bytes(1): try reader.wrapped(into: &agent)
    case .bytes(2): try reader.wrapped(into: &channel)
    case .bytes(3): try reader.wrapped(into: &version)
    case .bytes(4): try reader.wrapped(into: &plan)
    case .bytes(5): try reader.wrapped(into: &provider)
    case .bytes(6): try reader.wrapped(into: &region)
    case .bytes(7): try reader.wrapped(into: &update)
    default: try reader.skip(field)
    }
  }

  func write(to writer: inout ProtoWriter) {
    writer.wrapped(1, agent)
    writer.wrapped(2, channel)
    writer.wrapped(3, version)
    writer.wrapped(4, plan)
    writer.wrapped(5, provider)
    writer.wrapped(6, region)
    writer.wrapped(7, update)
  }
}
