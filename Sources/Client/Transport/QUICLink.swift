// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// The QUIC connection to one endpoint: made when the first stream is asked for, shared by all, and made anew when it is
/// lost.
final class QUICLink: QUICConnectionDelegate {
  private enum State {
    case idle
    case opening(OutgoingQUIC)
    case open(QUICConnection)
  }

  let endpoint: ServerEndpoint
  private let loop: Loop
  private let path: NetworkPath
  private let credentials: QUICCredentials
  private let settings: QUICSettings
  private var state = State.idle
  /// Streams that wait for the connection.
  private var waiting: [QUICStreamAttempt] = []

  init(
    _ loop: Loop, to endpoint: ServerEndpoint, by path: NetworkPath, _ credentials: QUICCredentials,
    _ settings: QUICSettings
  ) {
    self.loop = loop
    self.endpoint = endpoint
    self.path = path
    self.credentials = credentials
    self.settings = settings
  }

  /// Whether no stream uses or awaits the connection.
  var isIdle: Bool {
    switch state {
    case .idle: true
    case .opening: false
    case .open(let connection): !connection.hasStreams
    }
  }

  func openStream(
    timeout: UInt64, onStep: TunnelTransport.OnStep?, _ done: @escaping TunnelTransport.Completion
  ) -> any ConnectionAttempt {
    let attempt = QUICStreamAttempt(loop, over: self, timeout: timeout, onStep: onStep, done)
    loop.later { [self] in begin(attempt) }
    return attempt
  }

  private func begin(_ attempt: QUICStreamAttempt) {
    guard !attempt.isOver else { return }
    switch state {
    case .idle:
      waiting.append(attempt)
      open(timeout: attempt.timeout)
    case .opening:
      waiting.append(attempt)
    case .open(let connection):
      openStream(on: connection, for: attempt)
    }
  }

  private func open(timeout: UInt64) {
    state = .opening(
      OutgoingQUIC(
        loop, to: endpoint, by: path, credentials, alpn: [TLSTransport.alpn], settings, timeout: timeout,
        onStep: { [weak self] step in self?.waiting.first?.onStep?(step) }
      ) { [weak self] result in
        switch result {
        case .success(let connection): self?.opened(connection)
        case .failure(let failure): self?.failed(failure)
        }
      })
  }

  private func opened(_ connection: QUICConnection) {
    guard connection.negotiatedProtocol == TLSTransport.alpn else {
      connection.close()
      return failed(.notAnEngine(endpoint))
    }
    connection.delegate = self
    state = .open(connection)
    let ready = waiting
    waiting = []
    for attempt in ready { openStream(on: connection, for: attempt) }
  }

  private func failed(_ failure: Failure) {
    state = .idle
    let failed = waiting
    waiting = []
    for attempt in failed { attempt.finish(.failure(failure)) }
  }

  private func openStream(on connection: QUICConnection, for attempt: QUICStreamAttempt) {
    connection.openStream { [weak self] result in
      switch result {
      case .success(let stream):
        attempt.finish(.success(stream))
      case .failure(let failure):
        // The connection may have been lost unnoticed: one more is tried. One that is only crowded is kept.
        guard let self, !connection.isOpen, attempt.mayRedial() else { return attempt.finish(.failure(failure)) }
        drop(connection)
        begin(attempt)
      }
    }
  }

  private func drop(_ connection: QUICConnection) {
    guard case .open(let current) = state, current === connection else { return }
    state = .idle
    connection.close()
  }

  /// Whoever has given up waits no more; a connection that nobody waits for is not made.
  func gaveUp(_ attempt: QUICStreamAttempt) {
    waiting.removeAll { $0 === attempt }
    guard waiting.isEmpty, case .opening(let outgoing) = state else { return }
    state = .idle
    outgoing.cancel()
  }

  /// Ends the connection once what its streams have queued has been received, and they are gone.
  func finish() {
    switch state {
    case .idle: break
    case .opening(let outgoing): outgoing.cancel()
    case .open(let connection): connection.finish()
    }
    state = .idle
  }

  // MARK: QUICConnectionDelegate

  func connectionOpened(_ connection: QUICConnection) {}

  /// Engines open no streams towards their clients.
  func connection(_ connection: QUICConnection, opened stream: QUICStream) { stream.reset() }

  func connection(_ connection: QUICConnection, received datagram: UnsafeRawBufferPointer) {
    connection.datagramChannels.received(datagram)
  }

  func connection(_ connection: QUICConnection, ended failure: Failure) {
    guard case .open(let current) = state, current === connection else { return }
    state = .idle
  }
}

/// One stream that is being opened, under a time limit.
final class QUICStreamAttempt: Attempt<ByteChannel>, ConnectionAttempt {
  let timeout: UInt64
  let onStep: TunnelTransport.OnStep?
  private weak var link: QUICLink?
  private var timer: LoopTimer?
  private var hasRedialed = false

  init(
    _ loop: Loop, over link: QUICLink, timeout: UInt64, onStep: TunnelTransport.OnStep?,
    _ completion: @escaping Completion
  ) {
    self.link = link
    self.timeout = timeout
    self.onStep = onStep
    super.init(completion)
    let endpoint = link.endpoint
    timer = LoopTimer(loop, after: timeout) { [self] in
      // The connection may be waited for by others, and has a limit of its own.
      finish(
        .failure(
          Failure(
            ErrorCode.operationTimeout,
            "connect to \(endpoint.host):\(endpoint.port) over QUIC: no stream after \(timeout) ms")))
    }
  }

  /// True once.
  func mayRedial() -> Bool {
    defer { hasRedialed = true }
    return !hasRedialed && !isOver
  }

  override func discard(_ channel: ByteChannel) { channel.reset() }

  override func release() {
    timer?.close()
    timer = nil
    link?.gaveUp(self)
    link = nil
  }
}
