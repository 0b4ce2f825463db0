// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// HTTP of published tunnels: one client's connection, whose requests go where their Host says, whichever tunnel the TLS
/// handshake was for and whether that is still there.
final class PublishedHTTP: HTTPHandler {
  let engine: Engine
  let peer: SocketAddress?
  /// The peer's address in words, as services get it with every request.
  let peerText: String
  let services = ServicePool()
  /// The host name of the TLS handshake.
  private let serverName: String

  /// Takes over a connection to a host in the tunnels' namespace after its TLS handshake.
  static func serve(_ channel: TLSChannel, _ hello: ClientHello, _ engine: Engine) {
    let handler = PublishedHTTP(engine, serverName: hello.serverName ?? "", peer: channel.peer)
    HTTP1Downstream(channel, scheme: "https", handler, engine.httpTimeouts, engine.sessions)
  }

  init(_ engine: Engine, serverName: String, peer: SocketAddress?) {
    self.engine = engine
    self.serverName = serverName
    self.peer = peer
    peerText = peer?.hostText ?? ""
  }

  func handle(_ exchange: HTTPExchange) {
    if engine.isDraining { return exchange.answer(503, "The engine is shutting down.") }
    let request = exchange.request
    // The target of CONNECT is the service's business, and HTTP/1.0 may leave Host out.
    let hostname = request.method == "CONNECT" || request.authority.isEmpty ? serverName : request.hostname
    guard let tunnel = engine.registry.tunnel(hostname: hostname), !tunnel.carriesPackets else {
      if hostname == engine.settings.host { return answerMisdirected(exchange) }
      return exchange.answer(404, "No tunnel is published under this host name.")
    }
    guard tunnel.properties.protocol == "http" else { return answerMisdirected(exchange) }
    guard tunnel.admits(peer) else { return exchange.answer(403, "This tunnel is not open to your address.") }
    let authorization = EdgeAuthorization.judge(
      request, to: tunnel.record, tokenAuth: tunnel.properties.tokenAuth == true, engine.authenticator,
      now: Clock.seconds)
    switch authorization {
    case .denied(401, let message): exchange.answer(401, message, ("WWW-Authenticate", "Bearer"))
    case .denied(let status, let message): exchange.answer(status, message)
    case .allowed(let path, let withoutAuthorization):
      var head = request
      head.path = path
      if head.authority.isEmpty { head.authority = hostname }
      if withoutAuthorization { head.headers.remove("Authorization") }
      PublishedRequest(exchange, head, to: tunnel, on: self).start()
    }
  }

  /// The host exists, but is not spoken to on this connection.
  private func answerMisdirected(_ exchange: HTTPExchange) {
    exchange.answer(421, "Misdirected Request: connect to this host by its own name.")
  }

  func connectionEnded() { services.removeAll() }
}

/// Connections to services that wait for the next request of the same client. They are never shared between clients: a
/// service may take its connection for its user's.
final class ServicePool {
  private static let limit = 4
  private var idle: [(tunnel: Tunnel, service: HTTP1Upstream)] = []

  func take(_ tunnel: Tunnel) -> HTTP1Upstream? {
    dropUseless()
    guard let index = idle.lastIndex(where: { $0.tunnel === tunnel }) else { return nil }
    return idle.remove(at: index).service
  }

  func put(_ service: HTTP1Upstream, _ tunnel: Tunnel) {
    idle.append((tunnel, service))
    dropUseless()
    if idle.count > Self.limit { idle.removeFirst().service.close() }
  }

  private func dropUseless() {
    idle.removeAll { entry in
      let isUseless = !entry.tunnel.isOpen || !entry.service.isReusable
      if isUseless { entry.service.close() }
      return isUseless
    }
  }

  func removeAll() {
    for entry in idle { entry.service.close() }
    idle.removeAll()
  }
}
