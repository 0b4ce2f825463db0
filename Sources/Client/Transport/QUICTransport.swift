// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// Streams of one QUIC connection to the engine, and of one to each node that streams are redirected to.
final class QUICTransport: TunnelTransport {
  /// Nodes that are connected to at the same time. Who has no streams makes way for another.
  private static let nodeLimit = 16

  private let loop: Loop
  private let credentials: QUICCredentials
  private let settings: QUICSettings
  private var path: NetworkPath
  private var main: QUICLink
  private var nodes: [QUICLink] = []

  init(
    _ loop: Loop, to engine: ServerEndpoint, by path: NetworkPath, _ credentials: QUICCredentials,
    _ settings: QUICSettings
  ) {
    self.loop = loop
    self.path = path
    self.credentials = credentials
    self.settings = settings
    main = QUICLink(loop, to: engine, by: path, credentials, settings)
  }

  var mayCarryDatagrams: Bool { true }

  func connect(timeout: UInt64, onStep: OnStep?, _ done: @escaping Completion) -> any ConnectionAttempt {
    main.openStream(timeout: timeout, onStep: onStep, done)
  }

  func connect(redirectedTo endpoint: ServerEndpoint, timeout: UInt64, _ done: @escaping Completion)
    -> any ConnectionAttempt
  {
    link(to: endpoint).openStream(timeout: timeout, onStep: nil, done)
  }

  private func link(to endpoint: ServerEndpoint) -> QUICLink {
    if let known = nodes.first(where: { $0.endpoint == endpoint }) { return known }
    if nodes.count >= Self.nodeLimit, let index = nodes.firstIndex(where: \.isIdle) {
      nodes.remove(at: index).finish()
    }
    let node = QUICLink(loop, to: endpoint, by: path, credentials, settings)
    nodes.append(node)
    return node
  }

  func use(_ engine: ServerEndpoint, by path: NetworkPath) {
    self.path = path
    finish()
    main = QUICLink(loop, to: engine, by: path, credentials, settings)
  }

  /// Streams keep their connection until they have ended.
  func finish() {
    main.finish()
    for node in nodes { node.finish() }
    nodes = []
  }
}
