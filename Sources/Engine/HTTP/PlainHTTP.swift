// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// The plain HTTP listener: sends whoever comes to https.
final class PlainHTTP: HTTPHandler {
  private let engine: Engine

  /// Takes over a connection that the listener has accepted.
  static func serve(_ channel: SocketChannel, _ engine: Engine) {
    HTTP1Downstream(channel, scheme: "http", PlainHTTP(engine), engine.httpTimeouts, engine.sessions)
  }

  init(_ engine: Engine) { self.engine = engine }

  func connectionEnded() {}

  func handle(_ exchange: HTTPExchange) {
    let request = exchange.request
    guard request.method != "CONNECT" else { return exchange.answer(501, "The engine is no proxy.") }
    // Only to names that are the engine's: it must not lend its name to ways elsewhere.
    let host = request.hostname
    guard host == engine.settings.host || engine.policy.namespace.contains(host) else {
      return exchange.answer(404, "This host is not served here.")
    }
    let port = engine.publicPort == 443 ? "" : ":\(engine.publicPort)"
    let path = request.path.first == UInt8(ascii: "/") ? String(decoding: request.path, as: UTF8.self) : "/"
    exchange.answer(308, "Use https.", ("Location", "https://\(host)\(port)\(path)"))
  }
}

extension HTTPRequestHead {
  /// The host name asked for: in lower case, without port and trailing dot.
  var hostname: String {
    let host = self.host
    return host.hasSuffix(".") ? String(host.dropLast()) : host
  }
}
