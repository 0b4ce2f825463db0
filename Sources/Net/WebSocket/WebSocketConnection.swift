// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What a WebSocket connection tells. Nothing comes after `ended`.
public protocol WebSocketDelegate: AnyObject {
  func webSocket(_ socket: WebSocketConnection, received message: [UInt8], isText: Bool)
  /// The peer lives: bytes have come, whatever they mean.
  func webSocketHeard(_ socket: WebSocketConnection)
  /// What was queued has left.
  func webSocketDrained(_ socket: WebSocketConnection)
  func webSocket(_ socket: WebSocketConnection, ended end: WebSocketConnection.End)
}

extension WebSocketDelegate {
  public func webSocketHeard(_ socket: WebSocketConnection) {}
}

/// A connection that speaks WebSocket: the handshake is behind it.
public final class WebSocketConnection: ByteChannelDelegate {
  public enum End {
    /// The peer closed, or agreed to what was begun here.
    case closed(code: UInt16, reason: String)
    /// The peer broke the rules and was told so with this code.
    case violated(code: UInt16)
    /// The connection ended without a word, or broke.
    case lost(Failure)
  }

  /// How long the peer may take to agree to closing, in milliseconds.
  private static let closeTimeout: UInt64 = 2_000

  private let channel: ByteChannel
  private let codec: WebSocketCodec
  private weak var delegate: (any WebSocketDelegate)?
  private var closeTimer: LoopTimer?
  private var isClosing = false
  private var isOver = false

  /// Takes over a channel that nobody reads. It keeps the connection alive until that has ended.
  /// - Parameter limit: how many bytes a message from the peer may have
  public init(_ channel: ByteChannel, _ role: WebSocketCodec.Role, limit: Int, _ delegate: any WebSocketDelegate) {
    self.channel = channel
    self.delegate = delegate
    codec = WebSocketCodec(role, limit: limit)
    channel.delegate = self
    channel.readStart()
  }

  /// Bytes of messages that have not left yet.
  public var queuedBytes: Int { channel.queuedBytes }

  public func send(text: [UInt8]) {
    guard !isClosing, !isOver else { return }
    codec.send(text: text)
    flush()
  }

  public func ping() {
    guard !isClosing, !isOver else { return }
    codec.ping()
    flush()
  }

  /// Begins to close. The end is told when the peer has agreed or has taken too long.
  public func close(_ code: UInt16, _ reason: String = "") {
    guard !isClosing, !isOver else { return }
    isClosing = true
    codec.close(code, reason)
    flush()
    channel.readStart()
    closeTimer = LoopTimer(channel.loop, after: Self.closeTimeout) { [self] in
      end(.lost(Failure(-ETIMEDOUT, "the peer does not agree to closing")), broken: true)
    }
  }

  /// Closes without waiting for the peer; nothing is told any more.
  public func leave(_ code: UInt16) {
    guard !isOver else { return }
    if !isClosing { codec.close(code) }
    flush()
    delegate = nil
    end(.closed(code: code, reason: ""))
  }

  /// Ends at once; nothing is told any more.
  public func reset() {
    guard !isOver else { return }
    delegate = nil
    end(.closed(code: WebSocketCodec.CloseCode.none, reason: ""), broken: true)
  }

  private func flush() {
    let bytes = codec.takeOutput()
    if !bytes.isEmpty { channel.write(bytes) }
  }

  private func end(_ end: End, broken: Bool = false) {
    guard !isOver else { return }
    isOver = true
    closeTimer?.close()
    closeTimer = nil
    let listener = delegate
    delegate = nil
    if broken { channel.reset() } else { channel.close() }
    listener?.webSocket(self, ended: end)
  }

  // MARK: ByteChannelDelegate

  public func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {
    let events = codec.feed(bytes)
    flush()
    delegate?.webSocketHeard(self)
    for event in events where !isOver {
      switch event {
      case .message(let message, let isText):
        if !isClosing { delegate?.webSocket(self, received: message, isText: isText) }
      case .ping, .pong: break
      case .closed(let code, let reason): end(.closed(code: code, reason: reason))
      case .violated(let code): end(.violated(code: code))
      }
    }
    // Whoever does not take the answers to its pings is not asked for more.
    if !isOver, !isClosing, channel.queuedBytes > ByteChannel.highWater { channel.readStop() }
  }

  public func channelReceivedEnd(_ channel: ByteChannel) {
    end(.lost(Failure(-ECONNRESET, "the connection ended without a closing handshake")))
  }

  public func channelDrained(_ channel: ByteChannel) {
    guard !isOver else { return }
    channel.readStart()
    delegate?.webSocketDrained(self)
  }

  public func channel(_ channel: ByteChannel, failed failure: Failure) { end(.lost(failure)) }
}
