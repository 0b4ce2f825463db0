// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// A request on its way to the service behind a tunnel: over a connection that is there already, or over a new stream.
final class PublishedRequest: HTTPForwarder {
  private let exchange: HTTPExchange
  private let tunnel: Tunnel
  private let connection: PublishedHTTP
  /// As the service is to see it.
  private var head: HTTPRequestHead
  private var opening: ServiceOpening?
  private var service: HTTP1Upstream?
  /// The service's connection was used before, so that the service may have given it up in the meantime.
  private var isReused = false

  init(_ exchange: HTTPExchange, _ head: HTTPRequestHead, to tunnel: Tunnel, on connection: PublishedHTTP) {
    self.exchange = exchange
    self.tunnel = tunnel
    self.connection = connection
    self.head = head
    self.head.headers.setForwarded(for: connection.peerText, scheme: head.scheme, host: head.authority)
    dropUnforwardableUpgrade()
  }

  /// A service that agreed to HTTP/2 would get requests that nobody has looked at.
  private func dropUnforwardableUpgrade() {
    head.headers.remove("HTTP2-Settings")
    guard let offers = head.upgrade?.lowercased().split(separator: ",") else { return }
    if offers.contains(where: { $0.drop { $0 == " " || $0 == "\t" }.hasPrefix("h2c") }) { head.upgrade = nil }
  }

  func start() {
    exchange.forwarder = self
    if let service = connection.services.take(tunnel) {
      isReused = true
      connect(service)
    } else {
      open()
    }
  }

  private func open() {
    isReused = false
    let transport: ServiceOpening.Transport = tunnel.properties.upstreamTLS == true ? .tls("http/1.1") : .plain
    opening = ServiceOpening(tunnel, transport, source: connection.peer, connection.engine) { [self] result in
      opening = nil
      switch result {
      case .success(let channel): connect(HTTP1Upstream(channel))
      case .failure(let failure): answer(failure)
      }
    }
  }

  private func connect(_ service: HTTP1Upstream) {
    self.service = service
    exchange.connect(service, head)
  }

  private func answer(_ failure: StreamFailure) {
    switch failure {
    case .notFound: exchange.answer(502, "The tunnel was closed.")
    case .refused(let error) where error.code == .capacityExhausted:
      exchange.answer(503, "Too many requests wait for this tunnel.")
    case .refused: exchange.answer(502, "The tunnel's owner could not reach its service.")
    case .timeout: exchange.answer(504, "The tunnel's owner did not answer in time.")
    case .unauthorized: exchange.answer(403, "This token does not permit the use of this tunnel.")
    case .io: exchange.answer(502, "The connection to the tunnel's owner broke.")
    }
  }

  // MARK: HTTPForwarder

  func upstreamFailed(_ failure: HTTPUpstreamFailure) {
    service = nil
    switch failure {
    case .noResponse where isReused && isRepeatable:
      open()
    case .noResponse:
      exchange.answer(502, "The service behind the tunnel closed the connection without a response.")
    case .badResponse(let reason):
      Log.debug("engine", "tunnel \(tunnel.id): no HTTP response: \(reason)")
      exchange.answer(502, "The service behind the tunnel did not answer with HTTP.")
    }
  }

  /// Sent twice, the request does what it does once.
  private var isRepeatable: Bool {
    exchange.requestBody == .none
      && ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"].contains(exchange.request.method)
  }

  func exchangeEnded(cleanly: Bool) {
    opening?.cancel()
    opening = nil
    if cleanly, let service { connection.services.put(service, tunnel) }
    service = nil
  }
}
