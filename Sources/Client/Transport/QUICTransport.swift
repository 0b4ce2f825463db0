// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// Streams of one QUIC connection to the engine, and of one to each node that streams are redirected to.
final class QUICTransport: TunnelTransport {
  /// Nodes that are connected to at the same time. Who has no streams makes way for another.
  private static let nodeLimit = 16

  private let loop: Loop
  private let credentials: QUICCredentials
  private let settings: QUICSettings
  private let nodeIdleTime: UInt64
  private var path: NetworkPath
  private(set) var main: QUICLink
  private(set) var nodes: [QUICLink] = []
  /// Those that nobody asks for streams any more, as long as somebody may use what they have.
  private(set) var retired: [QUICLink] = []
  private var idleTimer: LoopTimer?

  /// - Parameter nodeIdleTime: milliseconds after which a node without streams may be left; twice that, and it is
  init(
    _ loop: Loop, to engine: ServerEndpoint, by path: NetworkPath, _ credentials: QUICCredentials,
    _ settings: QUICSettings, nodeIdleTime: UInt64 = 15_000
  ) {
    self.loop = loop
    self.path = path
    self.credentials = credentials
    self.settings = settings
    self.nodeIdleTime = nodeIdleTime
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
    if nodes.count >= Self.nodeLimit, let index = nodes.firstIndex(where: \.isIdle) { retire(nodes.remove(at: index)) }
    let node = QUICLink(loop, to: endpoint, by: path, credentials, settings)
    nodes.append(node)
    watchNodes()
    return node
  }

  private func watchNodes() {
    guard idleTimer == nil, !nodes.isEmpty else { return }
    idleTimer = LoopTimer(loop, after: nodeIdleTime) { [weak self] in self?.leaveIdleNodes() }
  }

  private func leaveIdleNodes() {
    idleTimer?.close()
    idleTimer = nil
    let idle = nodes.filter { $0.staysIdle() }
    nodes.removeAll { node in idle.contains { $0 === node } }
    for node in idle { retire(node) }
    watchNodes()
  }

  private func retire(_ link: QUICLink) {
    retired.removeAll(where: \.isOver)
    link.retire()
    if !link.isOver { retired.append(link) }
  }

  private func retireNodes() {
    idleTimer?.close()
    idleTimer = nil
    let left = nodes
    nodes = []
    for node in left { retire(node) }
  }

  func use(_ engine: ServerEndpoint, by path: NetworkPath) {
    self.path = path
    retireNodes()
    retire(main)
    main = QUICLink(loop, to: engine, by: path, credentials, settings)
  }

  /// Streams are redirected on behalf of a control channel; those that there are keep their connections.
  func controlEnded(_ channel: ByteChannel, isLost: Bool) {
    retireNodes()
    guard isLost, let stream = channel as? QUICStream, main.uses(stream.connection) else { return }
    let lost = main
    main = QUICLink(loop, to: lost.endpoint, by: path, credentials, settings, token: lost.token)
    retire(lost)
  }

  func finish() {
    idleTimer?.close()
    idleTimer = nil
    for link in [main] + nodes + retired { link.finish() }
    nodes = []
    retired = []
  }
}
