// SPDX-License-Identifier: Apache-2.0
import CUV

/// Whom to ask for names, and how much to believe.
public final class DNSPolicy {
  /// A name server: an address or a name that the platform looks up.
  public struct Server: Equatable, Sendable {
    public var host: String
    public var port: UInt16

    public init(host: String, port: UInt16) {
      self.host = host
      self.port = port
    }
  }

  let servers: [Server]
  /// Set for DNS over TLS; `securityName` is what the server proves to be.
  let security: TLSContext?
  let securityName: String
  /// Whether only answers count that the server has validated (AD). Only sensible over TLS to a server that is trusted.
  let requiresAuthenticated: Bool

  public init(
    servers: [Server], security: TLSContext? = nil, securityName: String = "", requiresAuthenticated: Bool = false
  ) {
    self.servers = servers
    self.security = security
    self.securityName = securityName
    self.requiresAuthenticated = requiresAuthenticated
  }
}

extension DNSPolicy {
  /// The servers in messages, with what the questions travel in.
  public var name: String {
    let list = servers.map { authority($0.host, $0.port) }.joined(separator: ", ")
    return security == nil ? list : "\(list) over TLS\(requiresAuthenticated ? " with DNSSEC" : "")"
  }
}

/// A question that is asked server after server until one answers.
final class DNSLookup: Attempt<DNSReply> {
  private let loop: Loop
  private let name: String
  private let type: DNSRecordType
  private let policy: DNSPolicy
  private let sockets: SocketPolicy
  private var servers: ArraySlice<DNSPolicy.Server>
  private var resolver: Resolver?
  private var exchange: DNSExchange?
  private var lastFailure: Failure?

  init(
    _ loop: Loop, _ name: String, _ type: DNSRecordType, _ policy: DNSPolicy, _ sockets: SocketPolicy,
    _ completion: @escaping Completion
  ) {
    self.loop = loop
    self.name = name
    self.type = type
    self.policy = policy
    self.sockets = sockets
    servers = policy.servers[...]
    super.init(completion)
    askNext()
  }

  override func release() {
    resolver?.cancel()
    resolver = nil
    exchange?.cancel()
    exchange = nil
  }

  private func askNext() {
    guard !isOver else { return }
    guard let server = servers.popFirst() else {
      let failure = lastFailure ?? Failure(UV_EAI_FAIL.rawValue, "no name server is known")
      loop.later { [self] in finish(.failure(failure)) }
      return
    }
    resolver = Resolver(loop, host: server.host, port: server.port) { [self] result in
      resolver = nil
      do throws(Failure) {
        let usable = try sockets.usable(try result.get(), of: server.host)
        guard let address = usable.first else { return skip(Failure(UV_EAI_NODATA.rawValue, "no address")) }
        ask(address, try DNSQuery(name, type, dnssec: policy.requiresAuthenticated))
      } catch {
        skip(error)
      }
    }
  }

  private func ask(_ server: SocketAddress, _ query: DNSQuery) {
    let security = policy.security.map { DNSExchange.Security(context: $0, serverName: policy.securityName) }
    exchange = DNSExchange(loop, query, to: server, security, sockets) { [self] result in
      exchange = nil
      switch result {
      case .failure(let failure): skip(failure)
      case .success(let reply):
        if case .failed(let reason) = reply.status {
          skip(Failure(UV_EAI_FAIL.rawValue, "\(server) answered \(reason)"))
        } else if policy.requiresAuthenticated, !reply.isAuthenticated {
          skip(Failure(UV_EAI_FAIL.rawValue, "\(server) has not validated its answer (DNSSEC)"))
        } else {
          finish(.success(reply))
        }
      }
    }
  }

  private func skip(_ failure: Failure) {
    lastFailure = failure
    askNext()
  }
}

/// The addresses of a host, asked for by the rules of a DNS policy instead of the platform's.
final class DNSResolution: Attempt<[SocketAddress]> {
  /// How long a chain of aliases may be.
  private static let aliasLimit = 8

  private let loop: Loop
  private let host: String
  private let port: UInt16
  private let policy: DNSPolicy
  private let sockets: SocketPolicy
  private var lookup: DNSLookup?
  private var types: ArraySlice<DNSRecordType>
  private var found: [SocketAddress] = []
  private var aliases = 0

  init(
    _ loop: Loop, host: String, port: UInt16, _ policy: DNSPolicy, _ sockets: SocketPolicy,
    _ completion: @escaping Completion
  ) {
    self.loop = loop
    self.host = host
    self.port = port
    self.policy = policy
    self.sockets = sockets
    types =
      switch sockets.family {
      case .any: [.a, .aaaa]
      case .v4: [.a]
      case .v6: [.aaaa]
      }
    super.init(completion)
    if let known = Resolver.knownAddresses(host, port) {
      loop.later { [self] in finish(.success(known)) }
    } else {
      askNextType()
    }
  }

  override func release() {
    lookup?.cancel()
    lookup = nil
  }

  private func askNextType() {
    aliases = 0
    guard let type = types.popFirst() else {
      guard found.isEmpty else { return finish(.success(found)) }
      return finish(.failure(Failure(UV_EAI_NODATA.rawValue, "look up \(host): the name has no address")))
    }
    ask(HostNameText.normalized(host), type)
  }

  private func ask(_ name: String, _ type: DNSRecordType) {
    lookup = DNSLookup(loop, name, type, policy, sockets) { [self] result in
      lookup = nil
      switch result {
      case .failure(let failure): failed(failure)
      case .success(let reply): read(reply, name, type)
      }
    }
  }

  /// What was found by then is used: a server that cannot answer for AAAA makes no host unreachable by IPv4.
  private func failed(_ failure: Failure) {
    if found.isEmpty { finish(.failure(failure.during("look up \(host)"))) } else { finish(.success(found)) }
  }

  private func read(_ reply: DNSReply, _ name: String, _ type: DNSRecordType) {
    var owner = name
    while true {
      let addresses = reply.answers.compactMap { record -> SocketAddress? in
        guard record.owner == owner, case .address(let address) = record.data else { return nil }
        return SocketAddress(address, port: port)
      }
      if !addresses.isEmpty {
        found += addresses.filter { !found.contains($0) }
        return askNextType()
      }
      guard let next = reply.alias(of: owner) else { break }
      aliases += 1
      guard aliases <= Self.aliasLimit else {
        return failed(Failure(UV_EAI_FAIL.rawValue, "more than \(Self.aliasLimit) aliases in a row"))
      }
      owner = next
    }
    // The chain leaves what the server has sent: ask for its end, unless it ends nowhere.
    if owner == name || reply.status == .noSuchName { return askNextType() }
    ask(owner, type)
  }
}

extension DNSReply {
  /// Where a CNAME record of the answer leads from a name.
  func alias(of owner: String) -> String? {
    for record in answers where record.owner == owner {
      if case .alias(let target) = record.data { return target }
    }
    return nil
  }
}
