// SPDX-License-Identifier: Apache-2.0
import Glibc
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
  /// Whose time limit the connection that is being opened has.
  private weak var opener: QUICStreamAttempt?
  /// Attempts that are not over, wherever they are.
  private var attempts = 0
  private var isRetired = false
  private var isFinished = false
  private var wasIdle = false
  private var unusedToken: [UInt8]

  /// - Parameter token: from an earlier connection to the same endpoint
  init(
    _ loop: Loop, to endpoint: ServerEndpoint, by path: NetworkPath, _ credentials: QUICCredentials,
    _ settings: QUICSettings, token: [UInt8] = []
  ) {
    self.loop = loop
    self.endpoint = endpoint
    self.path = path
    self.credentials = credentials
    self.settings = settings
    unusedToken = token
  }

  // MARK: Asking

  /// Whether no stream uses or awaits the connection.
  var isIdle: Bool {
    guard attempts == 0 else { return false }
    return if case .open(let connection) = state { !connection.hasStreams } else { true }
  }

  /// Whether it was idle when it was asked before, and has been so since.
  func staysIdle() -> Bool {
    defer { wasIdle = isIdle }
    return wasIdle && isIdle
  }

  /// Whether it has no connection and nobody wants one of it.
  var isOver: Bool {
    guard case .idle = state else { return false }
    return attempts == 0
  }

  func uses(_ connection: QUICConnection) -> Bool {
    if case .open(let current) = state { current === connection } else { false }
  }

  /// For the next connection: the server takes it for the proof that the client's address is its own.
  var token: [UInt8] {
    if case .open(let connection) = state, !connection.token.isEmpty { connection.token } else { unusedToken }
  }

  // MARK: Opening

  func openStream(
    timeout: UInt64, onStep: TunnelTransport.OnStep?, _ done: @escaping TunnelTransport.Completion
  ) -> any ConnectionAttempt {
    attempts += 1
    wasIdle = false
    let attempt = QUICStreamAttempt(loop, over: self, timeout: timeout, onStep: onStep, done)
    loop.later { [self] in begin(attempt) }
    return attempt
  }

  private func begin(_ attempt: QUICStreamAttempt) {
    guard !attempt.isOver else { return }
    guard !isFinished else { return attempt.finish(.failure(givenUp)) }
    switch state {
    case .idle:
      waiting.append(attempt)
      open(for: attempt)
    case .opening:
      waiting.append(attempt)
    case .open(let connection):
      openStream(on: connection, for: attempt)
    }
  }

  private func open(for attempt: QUICStreamAttempt) {
    opener = attempt
    let token = unusedToken
    unusedToken = []
    state = .opening(
      OutgoingQUIC(
        loop, to: endpoint, by: path, credentials, alpn: [TLSTransport.alpn], settings, token: token,
        timeout: attempt.timeout, onStep: { [weak self] step in self?.waiting.first?.onStep?(step) }
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
    for attempt in failed {
      // The time that is over was the first one's; who came later has some left.
      let hasTime = failure.code == ErrorCode.operationTimeout && attempt !== opener
      if hasTime, attempt.mayRedial() { begin(attempt) } else { attempt.finish(.failure(failure)) }
    }
  }

  /// What somebody is told who has waited for so long.
  fileprivate func overdue(after milliseconds: UInt64) -> Failure {
    if case .opening(let outgoing) = state { return outgoing.overdue(after: milliseconds) }
    return Failure(
      ErrorCode.operationTimeout,
      "open a stream to \(endpoint.host):\(endpoint.port) over QUIC: the engine has allowed none more for \(milliseconds) ms"
    )
  }

  private func openStream(on connection: QUICConnection, for attempt: QUICStreamAttempt) {
    attempt.opening = connection.openStream { [weak self] result in
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
    guard uses(connection) else { return }
    forget(connection)
    connection.close()
  }

  private func forget(_ connection: QUICConnection) {
    unusedToken = token
    state = .idle
  }

  /// Whoever has ended waits no more; a connection that nobody waits for is not made.
  func ended(_ attempt: QUICStreamAttempt) {
    attempts -= 1
    waiting.removeAll { $0 === attempt }
    if waiting.isEmpty, case .opening(let outgoing) = state {
      state = .idle
      outgoing.cancel()
    }
    if isRetired { drainWhenUnused() }
  }

  // MARK: Ending

  /// Nobody asks for streams any more. Those that there are, and those that were asked for, keep their connection until they
  /// have ended.
  func retire() {
    isRetired = true
    drainWhenUnused()
  }

  private func drainWhenUnused() {
    guard attempts == 0, case .open(let connection) = state else { return }
    connection.drain()
  }

  /// Ends the connection once what its closed streams have queued has been received. Open ones do not count.
  func finish() {
    isFinished = true
    switch state {
    case .idle: break
    case .opening(let outgoing): outgoing.cancel()
    case .open(let connection): connection.finish()
    }
    state = .idle
    let failed = waiting
    waiting = []
    let failure = givenUp
    loop.later { for attempt in failed { attempt.finish(.failure(failure)) } }
  }

  private var givenUp: Failure {
    Failure(-ECANCELED, "connect to \(endpoint.host):\(endpoint.port) over QUIC: the client is done with this engine")
  }

  // MARK: QUICConnectionDelegate

  func connectionOpened(_ connection: QUICConnection) {}

  /// Engines open no streams towards their clients.
  func connection(_ connection: QUICConnection, opened stream: QUICStream) { stream.reset() }

  func connection(_ connection: QUICConnection, received datagram: UnsafeRawBufferPointer) {
    connection.datagramChannels.received(datagram)
  }

  func connection(_ connection: QUICConnection, ended failure: Failure) {
    if uses(connection) { forget(connection) }
  }
}

/// One stream that is being opened, under a time limit.
final class QUICStreamAttempt: Attempt<ByteChannel>, ConnectionAttempt {
  let timeout: UInt64
  let onStep: TunnelTransport.OnStep?
  /// On the connection, while it is waited for.
  fileprivate var opening: QUICStreamOpening?
  /// Kept until there is a result.
  private var link: QUICLink?
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
    timer = LoopTimer(loop, after: timeout) { [self] in
      // The connection may be waited for by others, and has a limit of its own.
      if let link = self.link { finish(.failure(link.overdue(after: timeout))) }
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
    opening?.cancel()
    opening = nil
    let link = link
    self.link = nil
    link?.ended(self)
  }
}
