// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamNet
import RstreamWire

/// One attempt to open a control channel.
final class ControlOpening: ClientOperation<ControlChannel> {
  /// The engine may not ask for more patience than this, in milliseconds.
  private static let longestTimeout: UInt32 = 900_000

  private let interval: UInt32?
  private var handshake: Handshake?
  private var answer: OpenControlChannelRsp.Ok?

  init(_ client: Client, _ completion: @escaping Completion) {
    let settings = client.settings
    interval = settings.heartbeatEnabled ? UInt32(settings.heartbeatIntervalMilliseconds) : nil
    super.init(of: client, "open a control channel", completion)
    let request = OpenControlChannelReq(
      clientDetails: client.details(token: settings.token),
      liveness: interval.map { ControlChannelLiveness(heartbeatIntervalMS: $0) })
    handshake = Handshake(
      client.loop, attempt, .openControlChannelReq(request),
      answerTimeout: UInt64(settings.operationTimeoutMilliseconds),
      check: { [self] message throws(Failure) in try accept(message) },
      connect: { client.transport.connect(timeout: client.transport.connectTimeout, $0) },
      completion: { [self] result in
        switch result {
        case .failure(let failure): finish(.failure(failure))
        case .success(let messages):
          guard let answer else { return }
          finish(.success(ControlChannel(client, messages, answer, heartbeats: heartbeats(answer.liveness))))
        }
      })
  }

  private func accept(_ message: Message) throws(Failure) {
    guard case .openControlChannelRsp(let response) = message else {
      throw .brokenProtocol(attempt, "the engine answered with another message than OpenControlChannelRsp")
    }
    switch response.payload {
    case .error(let error): throw Failure(error, during: attempt, hiding: client.secrets)
    case .ok(let ok):
      guard !ok.clientID.isEmpty else { throw .brokenProtocol(attempt, "the engine gave no client id") }
      try checkLiveness(ok.liveness)
      answer = ok
    case nil:
      throw .brokenProtocol(attempt, "the engine's OpenControlChannelRsp says neither ok nor error")
    }
  }

  private func checkLiveness(_ liveness: ControlChannelLiveness?) throws(Failure) {
    guard let liveness else { return }
    guard let interval else { throw .brokenProtocol(attempt, "the engine sent liveness that was not asked for") }
    guard liveness.heartbeatIntervalMS == interval else {
      throw .brokenProtocol(
        attempt, "the engine changed the heartbeat interval from \(interval) to \(liveness.heartbeatIntervalMS) ms")
    }
    guard liveness.heartbeatTimeoutMS >= interval, liveness.heartbeatTimeoutMS <= Self.longestTimeout else {
      throw .brokenProtocol(
        attempt, "the engine's heartbeat timeout of \(liveness.heartbeatTimeoutMS) ms is out of range")
    }
  }

  private func heartbeats(_ liveness: ControlChannelLiveness?) -> Heartbeats.Mode {
    guard let interval else { return .off }
    guard let liveness else { return .legacy(interval: interval) }
    return .negotiated(interval: interval, timeout: liveness.heartbeatTimeoutMS)
  }

  override func release() {
    handshake?.cancel()
    handshake = nil
  }
}
