// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// The plain HTTP listener that Prometheus reads the engine's numbers from.
final class Metrics: HTTPHandler {
  private let engine: Engine

  /// Takes over a connection that the listener has accepted.
  static func serve(_ channel: SocketChannel, _ engine: Engine) {
    HTTP1Downstream(channel, scheme: "http", Metrics(engine), engine.httpTimeouts, engine.sessions)
  }

  init(_ engine: Engine) { self.engine = engine }

  func connectionEnded() {}

  func handle(_ exchange: HTTPExchange) {
    let request = exchange.request
    let path = request.path.prefix { $0 != UInt8(ascii: "?") }
    guard path.elementsEqual(engine.settings.metricsPath.utf8) else {
      return exchange.answer(404, "The metrics are at \(engine.settings.metricsPath).")
    }
    guard request.method == "GET" || request.method == "HEAD" else {
      return exchange.answer(405, "Only GET and HEAD are answered here.", ("Allow", "GET, HEAD"))
    }
    if let token = engine.settings.metricsToken {
      let given = BearerToken.of(request.headers) ?? ""
      guard let expected = Digest.sha256(Array(token.utf8)), let offered = Digest.sha256(Array(given.utf8)),
        Digest.isEqual(expected, offered)
      else { return exchange.answer(401, "The bearer token is missing or wrong.", ("WWW-Authenticate", "Bearer")) }
    }
    let body = Array(Self.text(of: engine).utf8)
    exchange.answer(.own(200, contentType: "text/plain; version=0.0.4; charset=utf-8", length: body.count), body)
  }

  /// The numbers in Prometheus' text format.
  static func text(of engine: Engine) -> String {
    var text = ""
    func metric(_ name: String, _ type: String, _ help: String, _ samples: [(labels: String, value: UInt64)]) {
      text += "# HELP rstream_engine_\(name) \(help)\n# TYPE rstream_engine_\(name) \(type)\n"
      for sample in samples { text += "rstream_engine_\(name)\(sample.labels) \(sample.value)\n" }
    }
    var tunnels: [String: UInt64] = ["private": 0, "http": 0, "tls": 0, "tcp": 0]
    for tunnel in engine.registry.tunnels {
      let kind = tunnel.properties.publish == false ? "private" : tunnel.properties.protocol ?? "http"
      tunnels[kind, default: 0] += 1
    }
    metric("ready", "gauge", "1 while clients and consumers are served.", [("", engine.isDraining ? 0 : 1)])
    metric("clients", "gauge", "Open control channels.", [("", UInt64(engine.clients.count))])
    metric(
      "tunnels", "gauge", "Open tunnels by what they publish.",
      tunnels.sorted { $0.key < $1.key }.map { ("{kind=\"\($0.key)\"}", $0.value) })
    metric("connections", "gauge", "Open connections of all listeners.", [("", UInt64(engine.connections.count))])
    metric("connections_accepted_total", "counter", "Connections accepted.", [("", engine.connections.accepted)])
    metric(
      "connections_refused_total", "counter", "Connections refused because limits.connections were open.",
      [("", engine.connections.refused)])
    metric(
      "quic_datagrams_dropped_total", "counter",
      "Datagrams of published quic tunnels that were too large or too many, once their connections have ended.",
      [("", engine.droppedDatagrams)])
    metric(
      "packets_dropped_total", "counter",
      "Packets of other datagram tunnels that were too large or too many, once their channels have ended.",
      [("", engine.droppedPackets)])
    return text
  }
}
