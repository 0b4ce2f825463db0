// SPDX-License-Identifier: Apache-2.0
import RstreamWire

/// The stream that a datagram channel was asked for on, at either end: it stays open as long as the channel, and the end
/// of one is the end of the other.
public final class DatagramChannelSignal: MessageChannelDelegate {
  private weak var channel: QUICPacketChannel?
  private var messages: MessageChannel?

  /// Takes the stream over; what it still carries is a word about the channel's end.
  public init(_ channel: QUICPacketChannel, _ messages: MessageChannel) {
    self.channel = channel
    self.messages = messages
    messages.delegate = self
    channel.onClose = { [self] in end() }
  }

  /// The same for a stream that nobody reads yet.
  public init(_ channel: QUICPacketChannel, over stream: ByteChannel) {
    self.channel = channel
    messages = MessageChannel(stream, self)
    channel.onClose = { [self] in end() }
  }

  public func send(_ message: Message) { messages?.send(message) }

  /// Tells the other side by ending the stream.
  private func end() {
    channel = nil
    messages?.close()
    messages = nil
  }

  private func peerEnded() {
    let ended = channel
    end()
    ended?.peerClosed()
  }

  public func messageChannel(_ channel: MessageChannel, received message: Message) {
    if case .datagramChannelClose = message { peerEnded() }
  }

  public func messageChannelEnded(_ channel: MessageChannel) { peerEnded() }

  public func messageChannelDrained(_ channel: MessageChannel) {}

  public func messageChannel(_ channel: MessageChannel, failed failure: Failure) { peerEnded() }
}
