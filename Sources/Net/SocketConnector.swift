// SPDX-License-Identifier: Apache-2.0
import CUV
import Glibc

/// Connects to one of several addresses: the first gets a head start, then the next is tried beside it, and who answers
/// first wins (RFC 8305, section 5). An address that refuses makes way for the next at once.
public final class SocketConnector {
  public typealias Completion = (Result<SocketChannel, Failure>) -> Void

  /// The head start in milliseconds: Connection Attempt Delay of RFC 8305, section 8.
  private static let headStart: UInt64 = 250

  private let loop: Loop
  private let policy: SocketPolicy
  private var addresses: ArraySlice<SocketAddress>
  private var completion: Completion?
  private var attempts: [SocketAttempt] = []
  private var timer: LoopTimer?
  private var firstFailure: Failure?
  private var isStarting = false
  private var isFinished = false

  public init(
    _ loop: Loop, to addresses: [SocketAddress], policy: SocketPolicy = SocketPolicy(),
    _ completion: @escaping Completion
  ) {
    self.loop = loop
    self.policy = policy
    self.addresses = Self.interleaved(addresses)[...]
    self.completion = completion
    tryNext()
  }

  public func cancel() {
    completion = nil
    stop()
  }

  /// The families in turn, beginning with that of the first address (RFC 8305, section 4).
  static func interleaved(_ addresses: [SocketAddress]) -> [SocketAddress] {
    guard addresses.count > 2, let family = addresses.first?.family else { return addresses }
    var one = addresses.filter { $0.family == family }[...]
    var other = addresses.filter { $0.family != family }[...]
    var mixed: [SocketAddress] = []
    while let next = one.popFirst() {
      mixed.append(next)
      if let next = other.popFirst() { mixed.append(next) }
    }
    return mixed + other
  }

  /// Starts with the next address that does not fail at once.
  private func tryNext() {
    timer?.close()
    timer = nil
    isStarting = true
    while completion != nil, let address = addresses.popFirst() {
      let before = attempts.count
      let attempt = SocketAttempt(loop, to: address) { [self] in attempted($0, $1) }
      attempts.append(attempt)
      attempt.start(policy)
      if attempts.count > before { break }
    }
    isStarting = false
    if attempts.isEmpty {
      finishLater(
        .failure(firstFailure ?? Failure(UV_EADDRNOTAVAIL.rawValue, "connect: no address to connect to")))
    } else if policy.races, !addresses.isEmpty {
      timer = LoopTimer(loop, after: Self.headStart) { [weak self] in self?.tryNext() }
    }
  }

  private func attempted(_ attempt: SocketAttempt, _ result: Result<SocketChannel, Failure>) {
    switch result {
    case .success(let channel):
      stop()
      finishLater(.success(channel))
    case .failure(let failure):
      attempts.removeAll { $0 === attempt }
      if firstFailure == nil { firstFailure = failure }
      if !isStarting { tryNext() }
    }
  }

  private func finishLater(_ result: Result<SocketChannel, Failure>) {
    guard !isFinished else { return }
    isFinished = true
    loop.later { [self] in
      guard let completion else {
        if case .success(let channel) = result { channel.reset() }
        return
      }
      self.completion = nil
      completion(result)
    }
  }

  private func stop() {
    timer?.close()
    timer = nil
    addresses = []
    let running = attempts
    attempts = []
    for attempt in running { attempt.cancel() }
  }
}
