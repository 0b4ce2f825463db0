// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire

/// One attempt to reach a private tunnel by name or id.
final class Dial: ClientOperation<Dial.Reached> {
  /// The connection, which nobody reads, and the stream's id where the engine told it.
  typealias Reached = (channel: ByteChannel, id: String)

  private var handshake: Handshake?
  private var streamID = ""

  init(_ client: Client, _ target: String, _ completion: @escaping Completion) {
    super.init(of: client, "dial \(target)", completion)
    let settings = client.settings
    let request = StreamReq(
      clientDetails: client.details(token: settings.token), tunnelIDOrName: target, zeroRTT: settings.zeroRtt)
    let check: Handshake.Check? =
      settings.zeroRtt
      ? nil
      : { [self] message throws(Failure) in try accept(message) }
    handshake = Handshake(
      client.loop, attempt, .streamReq(request), answerTimeout: UInt64(settings.operationTimeoutMilliseconds),
      check: check, connect: { client.transport.connect(timeout: client.transport.connectTimeout, $0) },
      completion: { [self] result in finish(result.map { ($0.detach(), streamID) }) })
  }

  private func accept(_ message: Message) throws(Failure) {
    guard case .streamRsp(let answer) = message else {
      throw .brokenProtocol(attempt, "the engine answered with another message than StreamRsp")
    }
    switch answer.payload {
    case .streamID(let id) where !id.isEmpty: streamID = id
    case .error(let error): throw Failure(error, during: attempt, hiding: client.secrets)
    default: throw .brokenProtocol(attempt, "the engine's StreamRsp has neither a stream id nor an error")
    }
  }

  override func release() {
    handshake?.cancel()
    handshake = nil
  }
}
