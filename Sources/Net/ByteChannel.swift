// SPDX-License-Identifier: Apache-2.0

/// What a byte channel tells. Called on the loop's thread, never from inside a call to the channel.
public protocol ByteChannelDelegate: AnyObject {
  /// Bytes have arrived; they are borrowed for the call.
  func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer)
  /// The other side has ended its direction. The own direction goes on.
  func channelReceivedEnd(_ channel: ByteChannel)
  /// What was queued has left.
  func channelDrained(_ channel: ByteChannel)
  /// The channel is broken and closed. Nothing else is called after this.
  func channel(_ channel: ByteChannel, failed failure: Failure)
}

/// A reliable, ordered stream of bytes each way with half close: a socket, TLS over another channel.
///
/// A channel does not read until `readStart`. Writes are taken at once and queued when the other side does not take them:
/// whoever writes watches `queuedBytes` and stops its own source (`Splice` does). After `close` or `reset` the delegate
/// hears nothing more.
public class ByteChannel: Deferred {
  /// Above this many queued bytes a source is to be stopped until `channelDrained`.
  public static let highWater = 65_536

  public let loop: Loop
  public final var delegate: (any ByteChannelDelegate)?
  public final private(set) var isReading = false
  /// Kept as long as the channel: whoever accepted it learns from the attachment's end that it is gone.
  public final var attachment: AnyObject?
  final var isClosed = false

  /// Bytes handed back with `unread`.
  private final var pushedBack = ByteQueue()
  private final var isDeferred = false

  init(_ loop: Loop) { self.loop = loop }

  deinit { pushedBack.removeAll() }

  /// Bytes written that have not left this process.
  public var queuedBytes: Int { 0 }

  /// The address of the other end, "" when it has none.
  public var peer: SocketAddress? { nil }

  public final func readStart() {
    guard !isReading, !isClosed else { return }
    isReading = true
    if pushedBack.isEmpty {
      readingChanged()
    } else {
      deferDelivery()
    }
  }

  public final func readStop() {
    guard isReading else { return }
    isReading = false
    readingChanged()
  }

  /// Gives bytes back that were read too far; they are delivered first when reading goes on.
  public final func unread(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count > 0, !isClosed else { return }
    pushedBack.append(bytes)
    if isReading { deferDelivery() }
  }

  /// Writes bytes; they are taken before the call returns.
  public func write(_ bytes: UnsafeRawBufferPointer) {}

  /// Ends the own direction after what is queued.
  public func shutdown() {}

  /// Sends what is queued, then ends. What arrives is dropped.
  public func close() {}

  /// Ends at once; the other side sees a reset.
  public func reset() {}

  /// `isReading` has changed: adjust the source below.
  func readingChanged() {}

  /// Reading was resumed and what had been pushed back is delivered: deliver what else is held above the source.
  func deliverHeld() {}

  final func deferDelivery() {
    guard !isDeferred else { return }
    isDeferred = true
    loop.defer(self)
  }

  public final func runDeferred() {
    isDeferred = false
    guard isReading, !isClosed else { return }
    if !pushedBack.isEmpty {
      var held = pushedBack
      pushedBack = ByteQueue()
      delegate?.channel(self, received: held.bytes)
      held.removeAll()
      guard isReading, !isClosed else { return }
    }
    readingChanged()
    deliverHeld()
  }

  /// Whether bytes wait that come before anything new from below.
  final var mustWait: Bool { !isReading || !pushedBack.isEmpty }

  final func dropPushedBack() { pushedBack.removeAll() }
}

extension ByteChannel {
  public func write(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { write($0) }
  }
}
