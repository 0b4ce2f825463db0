// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// QUIC where it gets through, TLS where it does not: the first connection is tried over both, and who is first is kept as
/// long as the client goes to this engine.
final class AutoTransport: TunnelTransport {
  /// What QUIC has before TLS begins as well, in milliseconds.
  static let headStart: UInt64 = 300

  private let loop: Loop
  private let tls: any TunnelTransport
  /// Or why there is none.
  private let quic: Result<QUICTransport, Failure>
  private var chosen: (any TunnelTransport)?
  private var selection: TransportSelection?

  init(_ loop: Loop, tls: any TunnelTransport, quic: Result<QUICTransport, Failure>) {
    self.loop = loop
    self.tls = tls
    self.quic = quic
  }

  var mayCarryDatagrams: Bool {
    if let chosen { return chosen.mayCarryDatagrams }
    if case .success = quic { return true }
    return false
  }

  func connect(timeout: UInt64, onStep: OnStep?, _ done: @escaping Completion) -> any ConnectionAttempt {
    if let chosen { return chosen.connect(timeout: timeout, onStep: onStep, done) }
    let selection = self.selection ?? select(timeout, onStep)
    let waiter = SelectionWaiter(loop, timeout: timeout, done)
    selection.add(waiter)
    return waiter
  }

  private func select(_ timeout: UInt64, _ onStep: OnStep?) -> TransportSelection {
    let selection = TransportSelection(loop, tls: tls, quic: quic, timeout: timeout, onStep) { [self] winner in
      self.selection = nil
      chosen = winner
      if winner === tls, case .success(let quic) = quic { quic.finish() }
    }
    self.selection = selection
    return selection
  }

  /// What the first connection has chosen; a redirected stream cannot come before it.
  func connect(redirectedTo endpoint: ServerEndpoint, timeout: UInt64, _ done: @escaping Completion)
    -> any ConnectionAttempt
  {
    (chosen ?? tls).connect(redirectedTo: endpoint, timeout: timeout, done)
  }

  func use(_ engine: ServerEndpoint, by path: NetworkPath) {
    let waiters = selection?.abandon() ?? []
    selection = nil
    chosen = nil
    tls.use(engine, by: path)
    if case .success(let quic) = quic { quic.use(engine, by: path) }
    guard let first = waiters.first else { return }
    let selection = select(first.timeout, nil)
    for waiter in waiters { selection.add(waiter) }
  }

  func controlEnded(_ channel: ByteChannel, isLost: Bool) {
    if case .success(let quic) = quic { quic.controlEnded(channel, isLost: isLost) }
  }

  func finish() {
    selection?.cancel()
    selection = nil
    chosen = nil
    tls.finish()
    if case .success(let quic) = quic { quic.finish() }
  }
}

/// The race of the first connection. Only what keeps a transport from coming about counts, not what an engine answers.
final class TransportSelection {
  private let loop: Loop
  private let tls: any TunnelTransport
  private let timeout: UInt64
  private let onStep: TunnelTransport.OnStep?
  private var onEnd: (((any TunnelTransport)?) -> Void)?
  private var waiters: [SelectionWaiter] = []
  private var attempts: (tls: (any ConnectionAttempt)?, quic: (any ConnectionAttempt)?)
  private var failures: (tls: Failure?, quic: Failure?)
  /// Told when it is known whose they are.
  private var steps: (tls: [OutgoingConnection.Step], quic: [OutgoingConnection.Step]) = ([], [])
  private var timer: LoopTimer?

  /// - Parameter onEnd: called once with the winner, or with nothing; not when the selection is cancelled
  init(
    _ loop: Loop, tls: any TunnelTransport, quic: Result<QUICTransport, Failure>, timeout: UInt64,
    _ onStep: TunnelTransport.OnStep?, _ onEnd: @escaping ((any TunnelTransport)?) -> Void
  ) {
    self.loop = loop
    self.tls = tls
    self.timeout = timeout
    self.onStep = onStep
    self.onEnd = onEnd
    switch quic {
    case .success(let quic):
      attempts.quic = quic.connect(timeout: timeout, onStep: stepRecorder(\.quic)) { [self] result in
        attempts.quic = nil
        switch result {
        case .success(let channel): won(quic, channel, steps.quic)
        case .failure(let failure): quicFailed(failure)
        }
      }
      timer = LoopTimer(loop, after: AutoTransport.headStart) { [self] in startTLS() }
    case .failure(let failure):
      loop.later { [self] in quicFailed(failure) }
    }
  }

  func add(_ waiter: SelectionWaiter) {
    waiters.append(waiter)
    waiter.selection = self
  }

  func gaveUp(_ waiter: SelectionWaiter) {
    waiters.removeAll { $0 === waiter }
    guard waiters.isEmpty, let onEnd else { return }
    cancel()
    onEnd(nil)
  }

  func cancel() {
    onEnd = nil
    release()
  }

  /// Cancels the selection, and returns who is waiting for another one.
  func abandon() -> [SelectionWaiter] {
    cancel()
    defer { waiters = [] }
    return waiters
  }

  private func stepRecorder(
    _ half: WritableKeyPath<
      (tls: [OutgoingConnection.Step], quic: [OutgoingConnection.Step]), [OutgoingConnection.Step]
    >
  ) -> TunnelTransport.OnStep? {
    onStep == nil ? nil : { [self] step in steps[keyPath: half].append(step) }
  }

  private func quicFailed(_ failure: Failure) {
    guard onEnd != nil else { return }
    Log.debug("client", "\(failure.message); going on over TLS")
    failures.quic = failure
    if failures.tls == nil { startTLS() } else { bothFailed() }
  }

  private func startTLS() {
    timer?.close()
    timer = nil
    guard onEnd != nil, attempts.tls == nil else { return }
    attempts.tls = tls.connect(timeout: timeout, onStep: stepRecorder(\.tls)) { [self] result in
      attempts.tls = nil
      switch result {
      case .success(let channel): won(tls, channel, steps.tls)
      case .failure(let failure):
        failures.tls = failure
        if failures.quic != nil { bothFailed() }
      }
    }
  }

  private func won(_ winner: any TunnelTransport, _ channel: ByteChannel, _ steps: [OutgoingConnection.Step]) {
    guard let report = onEnd else { return channel.reset() }
    Log.debug("client", "the engine is reached over \(winner === tls ? "TLS" : "QUIC")")
    let served = waiters
    waiters = []
    onEnd = nil
    release()
    report(winner)
    for step in steps { onStep?(step) }
    // The channel is the first one's, the others get their own.
    var channel: ByteChannel? = channel
    for waiter in served {
      waiter.selection = nil
      if let opened = channel {
        channel = nil
        waiter.finish(.success(opened))
      } else {
        waiter.connect(over: winner)
      }
    }
    channel?.reset()
  }

  private func bothFailed() {
    guard let report = onEnd, let tls = failures.tls, let quic = failures.quic else { return }
    let failed = waiters
    waiters = []
    onEnd = nil
    release()
    report(nil)
    for step in steps.tls { onStep?(step) }
    let failure = Self.joined(tls.code, quic: quic.message, tls: tls.message)
    for waiter in failed {
      waiter.selection = nil
      waiter.finish(.failure(failure))
    }
  }

  private static func joined(_ code: Int32, quic: String, tls: String) -> Failure {
    Failure(code, "QUIC tunnel transport failed: \(quic); TLS tunnel transport failed: \(tls)")
  }

  /// What a waiter is told whose time is over.
  fileprivate func noAnswer(after milliseconds: UInt64) -> Failure {
    let nothing = "no connection after \(milliseconds) ms"
    return Self.joined(
      ErrorCode.operationTimeout, quic: failures.quic?.message ?? nothing, tls: failures.tls?.message ?? nothing)
  }

  private func release() {
    timer?.close()
    timer = nil
    attempts.tls?.cancel()
    attempts.tls = nil
    attempts.quic?.cancel()
    attempts.quic = nil
  }
}

/// Somebody who waits for the choice, and then for a connection.
final class SelectionWaiter: Attempt<ByteChannel>, ConnectionAttempt {
  fileprivate weak var selection: TransportSelection?
  fileprivate let timeout: UInt64
  private var timer: LoopTimer?
  private var attempt: (any ConnectionAttempt)?

  init(_ loop: Loop, timeout: UInt64, _ completion: @escaping Completion) {
    self.timeout = timeout
    super.init(completion)
    timer = LoopTimer(loop, after: timeout) { [self] in
      let nothing = Failure(ErrorCode.operationTimeout, "connect to the engine: no connection after \(timeout) ms")
      finish(.failure(selection?.noAnswer(after: timeout) ?? nothing))
    }
  }

  fileprivate func connect(over transport: any TunnelTransport) {
    attempt = transport.connect(timeout: timeout, onStep: nil) { [self] result in
      attempt = nil
      finish(result)
    }
  }

  override func discard(_ channel: ByteChannel) { channel.reset() }

  override func release() {
    timer?.close()
    timer = nil
    attempt?.cancel()
    attempt = nil
    selection?.gaveUp(self)
    selection = nil
  }
}
