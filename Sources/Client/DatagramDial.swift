// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire

/// One attempt to reach a private datagram tunnel whose packets travel as QUIC datagrams. Where the engine does not grant
/// that, or is not reached over QUIC, nothing is left of the attempt.
final class DatagramDial: ClientOperation<DatagramDial.Outcome> {
  enum Outcome {
    case channel(QUICPacketChannel, id: String)
    /// To be dialed with packets on a stream instead.
    case notGranted
  }

  private var handshake: Handshake?
  private var stream: QUICStream?
  private var streamID = ""
  private var isRefused = false

  init(_ client: Client, _ target: String, _ completion: @escaping Completion) {
    super.init(of: client, "dial \(target)", completion)
    let settings = client.settings
    let request = StreamReq(
      clientDetails: client.details(token: settings.token), tunnelIDOrName: target, zeroRTT: false,
      datagramChannel: true)
    handshake = Handshake(
      client.loop, attempt, .streamReq(request), answerTimeout: UInt64(settings.operationTimeoutMilliseconds),
      check: { [self] message throws(Failure) in try accept(message) },
      connect: { [self] done in
        client.transport.connect(timeout: client.transport.connectTimeout) { [self] result in
          guard case .success(let channel) = result, !(channel is QUICStream) else {
            stream = (try? result.get()) as? QUICStream
            stream?.connection.datagramChannels.expect()
            return done(result)
          }
          channel.reset()
          isRefused = true
          done(.failure(Failure(ErrorCode.unsupportedTransport, "the engine is not reached over QUIC")))
        }
      },
      completion: { [self] result in
        switch result {
        case .failure(let failure): finish(isRefused ? .success(.notGranted) : .failure(failure))
        case .success(let messages): open(messages)
        }
      })
  }

  private func accept(_ message: Message) throws(Failure) {
    guard case .streamRsp(let answer) = message else {
      throw .brokenProtocol(attempt, "the engine answered with another message than StreamRsp")
    }
    switch answer.payload {
    case .streamID(let id) where !id.isEmpty: streamID = id
    case .error(let error):
      isRefused = true
      throw Failure(error, during: attempt, hiding: client.secrets)
    default: throw .brokenProtocol(attempt, "the engine's StreamRsp has neither a stream id nor an error")
    }
  }

  private func open(_ messages: MessageChannel) {
    do throws(Failure) {
      guard let stream, let id = DatagramChannelID(streamID: streamID) else {
        throw .brokenProtocol(attempt, "the engine's stream id does not name a datagram channel")
      }
      let channel = try stream.connection.datagramChannels.open(id)
      channel.attachment = DatagramChannelSignal(channel, messages, streamID: streamID, client.channelWords)
      finish(.success(.channel(channel, id: streamID)))
    } catch {
      messages.reset()
      finish(.failure(error))
    }
  }

  override func release() {
    handshake?.cancel()
    handshake = nil
    stream?.connection.datagramChannels.expectNoMore()
    stream = nil
  }
}
