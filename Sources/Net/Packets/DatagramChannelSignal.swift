// SPDX-License-Identifier: Apache-2.0
import RstreamWire

/// The stream that a dialer's datagram channel was asked for on: it stays open as long as the channel, and each side tells
/// the other of the end on it.
public final class DatagramChannelSignal: MessageChannelDelegate {
  private weak var channel: QUICPacketChannel?
  private var messages: MessageChannel?
  private let streamID: String
  private let words: Words
  /// Whether there is a channel: a dialer that was refused hears of no end.
  private var isGranted: Bool
  /// Whether this is the dialer's end: what breaks the stream breaks the channel. To the engine a dialer that is gone has
  /// ended it.
  private let isDialer: Bool

  /// What failures are called when they are told, and what those are that are heard of.
  public struct Words {
    public let of: (Failure) -> PeerError
    public let failure: (PeerError) -> Failure

    public init(of failure: @escaping (Failure) -> PeerError, heard: @escaping (PeerError) -> Failure) {
      of = failure
      self.failure = heard
    }
  }

  /// Takes a dialer's stream over on which the channel was granted.
  public init(_ channel: QUICPacketChannel, _ messages: MessageChannel, streamID: String, _ words: Words) {
    self.channel = channel
    self.messages = messages
    self.streamID = streamID
    self.words = words
    isGranted = true
    isDialer = true
    messages.delegate = self
    begin()
  }

  /// The same for an engine's end of the stream, which nobody reads yet: the dialer is to be answered.
  public init(_ channel: QUICPacketChannel, over stream: ByteChannel, streamID: String, _ words: Words) {
    self.channel = channel
    self.streamID = streamID
    self.words = words
    isGranted = false
    isDialer = false
    messages = MessageChannel(stream, self)
    begin()
  }

  private func begin() {
    channel?.onClose = { [self] failure in
      if isGranted { messages?.send(.datagramChannelClose(close(failure))) }
      end()
    }
  }

  private func close(_ failure: Failure?) -> DatagramChannelClose {
    DatagramChannelClose(streamID: streamID, error: failure.map(words.of))
  }

  /// Answers the dialer: with the channel's id, or with an error.
  public func answer(_ payload: StreamRsp.Payload) {
    if case .streamID = payload { isGranted = true }
    messages?.send(.streamRsp(StreamRsp(payload)))
  }

  /// Whether it is another channel that has ended, which is none of this stream's.
  private func namesAnother(_ close: DatagramChannelClose) -> Bool {
    guard let named = DatagramChannelID(streamID: close.streamID) else { return false }
    return named != DatagramChannelID(streamID: streamID)
  }

  private func end() {
    channel = nil
    messages?.close()
    messages = nil
  }

  private func peerEnded(_ failure: Failure? = nil) {
    let ended = channel
    end()
    ended?.peerClosed(failure)
  }

  public func messageChannel(_ channel: MessageChannel, received message: Message) {
    guard case .datagramChannelClose(let close) = message, !namesAnother(close) else { return }
    peerEnded(close.trouble.map(words.failure))
  }

  public func messageChannelEnded(_ channel: MessageChannel) { peerEnded() }

  public func messageChannelDrained(_ channel: MessageChannel) {}

  public func messageChannel(_ channel: MessageChannel, failed failure: Failure) {
    peerEnded(isDialer ? failure : nil)
  }
}
