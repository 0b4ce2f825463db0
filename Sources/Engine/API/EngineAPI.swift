// SPDX-License-Identifier: Apache-2.0
import RstreamJSON
import RstreamNet

/// The engine's HTTP API: who is connected, which tunnels there are, whether the engine is well.
final class EngineAPI: HTTPHandler {
  private let engine: Engine
  private let certificate: PeerCertificate

  /// Takes over a connection to the engine's own host after its TLS handshake.
  static func serve(_ channel: TLSChannel, _ hello: ClientHello, _ engine: Engine) {
    let api = EngineAPI(engine, certificate: channel.peerCertificate)
    HTTP1Downstream(channel, scheme: "https", api, engine.httpTimeouts, engine.sessions)
  }

  /// Takes over an HTTP/3 connection to the same host after its handshake.
  static func serve(_ connection: QUICConnection, _ place: AnyObject, _ engine: Engine) {
    HTTP3Session.serve(connection, EngineAPI(engine, certificate: connection.peerCertificate), place, engine)
  }

  init(_ engine: Engine, certificate: PeerCertificate) {
    self.engine = engine
    self.certificate = certificate
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
    do throws(Denial) {
      answer(exchange, route, try route.access.map { (needed) throws(Denial) in try grant(request, needed, route) })
    } catch {
      error.status == 401
        ? exchange.answer(401, error.message, ("WWW-Authenticate", "Bearer"))
        : exchange.answer(error.status, error.message)
    }
  }

  /// - Parameter grant: of whoever asks; nothing where anybody may
  private func answer(_ exchange: HTTPExchange, _ route: EngineAPIRoute, _ grant: AccessGrant?) {
    let grant = grant ?? .unrestricted
    do throws(InventoryFilter.Malformed) {
      switch route {
      case .discovery:
        guard let document = APIDiscovery.document(of: engine) else {
          return exchange.answer(404, "This engine accepts no client certificates.")
        }
        exchange.answer(document.head, document.body)
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
        exchange.answer(200, query.select(engine.registry.tunnels.lazy.map(\.record)) { grant.shown(.tunnels, $0) })
      case .tunnel(let id):
        // What may not be seen is not there.
        guard let tunnel = engine.registry.tunnel(id: id), let shown = grant.shown(.tunnels, tunnel.record) else {
          return exchange.answer(404, "There is no tunnel with this id.")
        }
        exchange.answer(200, shown)
      case .clients:
        let query = try InventoryQuery(path: exchange.request.path, for: .clients)
        guard grant.showsClients else {
          return exchange.answer(403, "The token is restricted to some tunnels: it does not permit listing clients.")
        }
        exchange.answer(200, query.select(engine.clientsInOrder.lazy.map(\.record)) { grant.shown(.clients, $0) })
      case .events, .webSocket:
        var query = try WatchQuery(path: exchange.request.path)
        query.access = grant
        guard !engine.isDraining else { return exchange.answer(503, "The engine is shutting down.") }
        if route == .events {
          EventStream.serve(exchange, query, engine)
        } else {
          WebSocketWatch.serve(exchange, query, engine)
        }
      }
    } catch {
      exchange.answer(400, error.message)
    }
  }

  // MARK: Access

  /// Why a request is not answered.
  private struct Denial: Error {
    let status: Int
    let message: String
  }

  /// What whoever asks may do, when it is enough for the request.
  private func grant(
    _ request: HTTPRequestHead, _ access: EngineAPIRoute.Access, _ route: EngineAPIRoute
  ) throws(Denial) -> AccessGrant {
    func unauthorized(_ message: String) -> Denial { Denial(status: 401, message: message) }
    var token = BearerToken.of(request.headers)
    let inAddress = QueryString(ofPath: request.path).value(EdgeAuthorization.queryName)
    if inAddress != .absent {
      // Addresses are logged and passed on, so a token in one is given away; only watching from a browser needs it.
      guard route.isEndless, token == nil, case .value(let bytes) = inAddress, !bytes.isEmpty else {
        throw unauthorized("The token belongs into the Authorization header, not into the address.")
      }
      token = String(decoding: bytes, as: UTF8.self)
    }
    if inAddress != .absent || token == nil, request.headers.contains("authorization"),
      engine.authenticator.canVerifyTokens
    {
      throw unauthorized("The Authorization header is not of the form: Bearer, a space, the token.")
    }
    let grant: AccessGrant
    do { grant = try engine.authenticator.authenticate(token, certificate, now: Clock.seconds) } catch {
      throw unauthorized(error.message)
    }
    if inAddress != .absent, engine.authenticator.canVerifyTokens, !grant.mayBeSeen {
      throw unauthorized(
        "A token in an address has to end within an hour of when it was made and to permit only to look.")
    }
    switch access {
    case .valid:
      guard grant.isForThisEngine else { throw Denial(status: 403, message: AuthenticationFailure.elsewhere) }
    case .permission(let permission):
      guard grant.has(permission) else {
        throw Denial(status: 403, message: "The token does not have the permission \(permission.rawValue).")
      }
      guard grant.permits(permission) else {
        throw Denial(status: 403, message: "The token's boundary does not permit this here.")
      }
    }
    return grant
  }
}

/// What the API answers to.
enum EngineAPIRoute: Equatable {
  case discovery
  case openAPI
  case live
  case ready
  case credentials
  case tunnels
  case tunnel(id: String)
  case clients
  case events
  case webSocket

  enum Access: Equatable {
    /// Any token that is accepted.
    case valid
    case permission(Permission)
  }

  /// Takes a request's path, with or without a query.
  init?(path: [UInt8]) {
    let path = String(decoding: path.prefix { $0 != UInt8(ascii: "?") }, as: UTF8.self)
    switch path {
    case "/.well-known/rstream/engine": self = .discovery
    case "/api/openapi.json": self = .openAPI
    case "/api/health/live": self = .live
    case "/api/health/ready": self = .ready
    case "/api/auth": self = .credentials
    case "/api/tunnels": self = .tunnels
    case "/api/clients": self = .clients
    case "/api/sse": self = .events
    case "/api/websocket": self = .webSocket
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
    case .discovery, .openAPI, .live, .ready: nil
    case .credentials: .valid
    case .tunnels, .tunnel, .clients, .events, .webSocket: .permission(.readResources)
    }
  }

  /// Whether the answer has no end of its own.
  var isEndless: Bool { self == .events || self == .webSocket }
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
