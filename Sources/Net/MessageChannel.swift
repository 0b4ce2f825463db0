// SPDX-License-Identifier: Apache-2.0
import RstreamWire

/// What a message channel tells. After `ended` or `failed` nothing more comes.
public protocol MessageChannelDelegate: AnyObject {
  func messageChannel(_ channel: MessageChannel, received message: Message)
  /// The peer has ended its direction.
  func messageChannelEnded(_ channel: MessageChannel)
  /// What was queued has left.
  func messageChannelDrained(_ channel: MessageChannel)
  /// The connection is broken, or what came is no message; the connection is closed.
  func messageChannel(_ channel: MessageChannel, failed failure: Failure)
}

/// Framed messages over a byte channel: a whole control channel, or the handshake in front of a tunnel's bytes.
public final class MessageChannel: ByteChannelDelegate {
  public let channel: ByteChannel
  public weak var delegate: (any MessageChannelDelegate)?
  private var reader = FrameReader()
  private var isDone = false

  /// Takes the channel over and starts reading.
  public init(_ channel: ByteChannel, _ delegate: any MessageChannelDelegate) {
    self.channel = channel
    self.delegate = delegate
    channel.delegate = self
    channel.readStart()
  }

  /// Bytes of messages that have not left yet.
  public var queuedBytes: Int { channel.queuedBytes }

  /// Sends a message. False when it is larger than a frame.
  @discardableResult
  public func send(_ message: Message) -> Bool {
    guard !isDone else { return true }
    guard let frame = try? message.framed() else { return false }
    channel.write(frame)
    return true
  }

  /// Ends the messages and gives the channel back, not reading; what came behind the last message is still in it.
  public func detach() -> ByteChannel {
    isDone = true
    delegate = nil
    channel.delegate = nil
    channel.readStop()
    reader.takeRemainder().withUnsafeBytes { channel.unread($0) }
    return channel
  }

  /// Sends what is queued and ends.
  public func close() {
    finish()
    channel.close()
  }

  public func reset() {
    finish()
    channel.reset()
  }

  private func finish() {
    isDone = true
    delegate = nil
  }

  // MARK: ByteChannelDelegate

  public func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {
    do {
      try reader.append(bytes.bindMemory(to: UInt8.self).span)
      while !isDone, let message = try reader.nextMessage() {
        delegate?.messageChannel(self, received: message)
      }
    } catch let error as FrameError {
      if case .tooLarge = error {
        fail(ErrorCode.frameTooLarge, error)
      } else {
        fail(ErrorCode.protocolViolation, error)
      }
    } catch {
      fail(ErrorCode.protocolViolation, error)
    }
  }

  private func fail(_ code: Int32, _ error: any Error) {
    guard !isDone else { return }
    let listener = delegate
    finish()
    channel.close()
    listener?.messageChannel(self, failed: Failure(code, "the peer sent no rstream message: \(error)"))
  }

  public func channelReceivedEnd(_ channel: ByteChannel) {
    guard !isDone else { return }
    let listener = delegate
    finish()
    listener?.messageChannelEnded(self)
  }

  public func channelDrained(_ channel: ByteChannel) {
    delegate?.messageChannelDrained(self)
  }

  public func channel(_ channel: ByteChannel, failed failure: Failure) {
    let listener = delegate
    finish()
    listener?.messageChannel(self, failed: failure)
  }
}
