// SPDX-License-Identifier: Apache-2.0
import RstreamJSON
import RstreamNet

/// The engine's HTTP API: who is connected, which tunnels there are, whether the engine is well.
final class EngineAPI: HTTPHandler {
  private let engine: Engine
  private let hasCertificate: Bool

  /// Takes over a connection to the engine's own host after its TLS handshake.
  static func serve(_ channel: TLSChannel, _ hello: ClientHello, _ engine: Engine) {
    let api = EngineAPI(engine, hasCertificate: channel.hasPeerCertificate)
    HTTP1Downstream(channel, scheme: "https", api, engine.httpTimeouts, engine.sessions)
  }

  init(_ engine: Engine, hasCertificate: Bool) {
    self.engine = engine
    self.hasCertificate = hasCertificate
  }

  func connectionEnded() {}

  func handle(_ exchange: HTTPExchange) {
    let request = exchange.request
    // The certificate may cover the tunnels' hosts as well, but this connection does not lead to them.
    if engine.policy.namespace.contains(request.hostname) {
      return exchange.answer(421, "Misdirected Request: connect to this host by its own name.")
    }
    guard request.method != "CONNECT" else { return exchange.answer(501, "The engine is no proxy.") }
    guard let route = EngineAPIRoute(path: request.path) else {
      return exchange.answer(404, "The engine's API has nothing here; see /api/openapi.json.")
    }
    guard request.method == "GET" || request.method == "HEAD" && !route.isEndless else {
      let allowed = route.isEndless ? "GET" : "GET, HEAD"
      return exchange.answer(405, "Only \(allowed) is answered here.", ("Allow", allowed))
    }
    if let needed = route.access, let (status, message) = refusal(of: request, needed, mayBeInAddress: route.isEndless)
    {
      return status == 401
        ? exchange.answer(401, message, ("WWW-Authenticate", "Bearer")) : exchange.answer(status, message)
    }
    answer(exchange, route)
  }

  private func answer(_ exchange: HTTPExchange, _ route: EngineAPIRoute) {
    do throws(InventoryFilter.Malformed) {
      switch route {
      case .openAPI:
        exchange.answer(200, OpenAPIDocument.contentType, OpenAPIDocument.bytes)
      case .live:
        exchange.answer(200, .status("live"))
      case .ready:
        exchange.answer(engine.isDraining ? 503 : 200, .status(engine.isDraining ? "draining" : "ready"))
      case .credentials:
        exchange.answer(200, .status("ok"))
      case .tunnels:
        let query = try InventoryQuery(path: exchange.request.path, for: .tunnels)
        exchange.answer(200, query.select(engine.registry.tunnels.lazy.map(\.record)))
      case .tunnel(let id):
        guard let tunnel = engine.registry.tunnel(id: id) else {
          return exchange.answer(404, "There is no tunnel with this id.")
        }
        exchange.answer(200, tunnel.record)
      case .clients:
        let query = try InventoryQuery(path: exchange.request.path, for: .clients)
        exchange.answer(200, query.select(engine.clientsInOrder.lazy.map(\.record)))
      case .events:
        let query = try WatchQuery(path: exchange.request.path)
        guard !engine.isDraining else { return exchange.answer(503, "The engine is shutting down.") }
        EventStream.serve(exchange, query, engine)
      }
    } catch {
      exchange.answer(400, error.message)
    }
  }

  // MARK: Access

  /// Why a request is not answered; nil when it may be.
  private func refusal(
    of request: HTTPRequestHead, _ access: EngineAPIRoute.Access, mayBeInAddress: Bool
  ) -> (status: Int, message: String)? {
    var token = BearerToken.of(request.headers)
    let inAddress = QueryString(ofPath: request.path).value(EdgeAuthorization.queryName)
    if inAddress != .absent {
      // Addresses are logged and passed on, so a token in one is given away; only a browser's event stream needs it.
      guard mayBeInAddress, token == nil, case .value(let bytes) = inAddress, !bytes.isEmpty else {
        return (401, "The token belongs into the Authorization header, not into the address.")
      }
      token = String(decoding: bytes, as: UTF8.self)
    }
    if inAddress != .absent || token == nil, request.headers.contains("authorization"),
      engine.authenticator.canVerifyTokens
    {
      return (401, "The Authorization header is not of the form: Bearer, a space, the token.")
    }
    if token != nil, hasCertificate { return (401, "A token and a client certificate cannot be used together.") }
    do {
      let grant = try engine.authenticator.authenticate(token, now: Clock.seconds)
      if inAddress != .absent, engine.authenticator.canVerifyTokens, !grant.mayBeSeen {
        return (401, "A token in an address has to end within an hour of when it was made and to permit only to look.")
      }
      if case .permission(let permission) = access, !grant.permits(permission) {
        return (403, "The token does not have the permission \(permission.rawValue).")
      }
      return nil
    } catch {
      return (401, error.message)
    }
  }
}

/// What the API answers to.
enum EngineAPIRoute: Equatable {
  case openAPI
  case live
  case ready
  case credentials
  case tunnels
  case tunnel(id: String)
  case clients
  case events

  enum Access: Equatable {
    /// Any token that is accepted.
    case valid
    case permission(Permission)
  }

  /// Takes a request's path, with or without a query.
  init?(path: [UInt8]) {
    let path = String(decoding: path.prefix { $0 != UInt8(ascii: "?") }, as: UTF8.self)
    switch path {
    case "/api/openapi.json": self = .openAPI
    case "/api/health/live": self = .live
    case "/api/health/ready": self = .ready
    case "/api/auth": self = .credentials
    case "/api/tunnels": self = .tunnels
    case "/api/clients": self = .clients
    case "/api/sse": self = .events
    default:
      let prefix = "/api/tunnels/"
      guard path.hasPrefix(prefix) else { return nil }
      let id = path.dropFirst(prefix.count)
      guard !id.isEmpty, !id.contains("/") else { return nil }
      self = .tunnel(id: String(id))
    }
  }

  /// What a request needs; nil when anybody may ask.
  var access: Access? {
    switch self {
    case .openAPI, .live, .ready: nil
    case .credentials: .valid
    case .tunnels, .tunnel, .clients, .events: .permission(.readResources)
    }
  }

  /// Whether the answer has no end of its own.
  var isEndless: Bool { self == .events }
}

extension JSONValue {
  fileprivate static func status(_ text: String) -> JSONValue { .object([JSONMember("status", .string(text))]) }
}

extension HTTPExchange {
  fileprivate func answer(_ status: Int, _ json: JSONValue) { answer(status, "application/json", json.encoded) }

  fileprivate func answer(_ status: Int, _ contentType: String, _ body: [UInt8]) {
    answer(.own(status, contentType: contentType, length: body.count), body)
  }
}
