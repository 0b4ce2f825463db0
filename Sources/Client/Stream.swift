// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
import RstreamNet

/// A byte stream through a tunnel, accepted or dialed, as the application sees it.
public final class Stream: ByteChannelDelegate, ClientMember {
  /// Receives bytes, borrowed for the call; no bytes and no failure mean the end of the other side's direction.
  public typealias Read = (UnsafeRawBufferPointer, Failure?) -> Void

  /// A write whose departure the application wants to hear of, in the application's own terms.
  public struct WriteToken {
    public let function: UnsafeRawPointer?
    public let data: UnsafeMutableRawPointer?
    public init(function: UnsafeRawPointer?, data: UnsafeMutableRawPointer?) {
      self.function = function
      self.data = data
    }
  }

  /// More than this may not wait to be sent.
  public static let queueLimit = 64 << 20

  public let id: String
  public let peer: String
  /// Told once for each write token: its bytes have left, or why they never will.
  public var onWritten: ((WriteToken, Failure?) -> Void)?

  private let client: Client
  private let channel: ByteChannel
  private var read: Read?
  private var pendingWrites: [WriteToken] = []
  private var reportsWrites = false
  private var endDelivered = false
  private var isShutDown = false
  private var failure: Failure?
  private var isClosed = false
  /// The client is closing: nothing leaves any more.
  private var isEnding = false

  init(_ client: Client, _ channel: ByteChannel, id: String, peer: String) {
    self.client = client
    self.channel = channel
    self.id = id
    self.peer = peer
    channel.delegate = self
  }

  public var queuedBytes: Int { isClosed ? 0 : channel.queuedBytes }

  /// Whether the stream can still be used.
  public var isOpen: Bool { !isClosed && failure == nil }

  public func readStart(_ read: @escaping Read) throws(Failure) {
    guard !isClosed else { throw closed("read") }
    guard self.read == nil else { throw .uv(-EALREADY, "read") }
    self.read = read
    if let failure {
      // It failed while nobody was reading.
      client.loop.later { [self] in
        guard !isClosed, let read = self.read else { return }
        self.read = nil
        read(UnsafeRawBufferPointer(start: nil, count: 0), failure)
      }
    } else if !endDelivered {
      channel.readStart()
    }
  }

  public func readStop() throws(Failure) {
    guard !isClosed else { throw closed("stop reading") }
    read = nil
    channel.readStop()
  }

  public func write(_ bytes: UnsafeRawBufferPointer, _ token: WriteToken? = nil) throws(Failure) {
    try checkWritable(bytes.count)
    channel.write(bytes)
    if let token { reportWhenWritten(token) }
  }

  /// Checks whether so many bytes can be written.
  public func checkWritable(_ count: Int) throws(Failure) {
    guard !isClosed else { throw closed("write") }
    if let failure { throw failure }
    guard !isShutDown else { throw Failure(-EPIPE, "write: the stream was shut down for writing") }
    guard count <= Self.queueLimit, channel.queuedBytes <= Self.queueLimit - count else {
      throw Failure(
        -ENOBUFS, "write: \(channel.queuedBytes) bytes wait already; wait for write callbacks before writing more")
    }
  }

  public func shutdown(_ token: WriteToken? = nil) throws(Failure) {
    guard !isClosed else { throw closed("shut down") }
    if let failure { throw failure }
    guard !isShutDown else { throw .uv(-EALREADY, "shut down") }
    isShutDown = true
    channel.shutdown()
    if let token { reportWhenWritten(token) }
  }

  /// Sends what is queued, then ends.
  public func close(_ done: @escaping () -> Void) throws(Failure) {
    try end(done) { channel.close() }
  }

  /// Ends at once; the other side sees a reset.
  public func reset(_ done: @escaping () -> Void) throws(Failure) {
    try end(done) { channel.reset() }
  }

  /// Turns the stream into a socket; the stream itself is closed by that.
  public func intoDescriptor() throws(Failure) -> Int32 {
    let attempt = "turn a stream into a descriptor"
    guard !isClosed else { throw closed(attempt) }
    if let failure { throw failure }
    var pair: [Int32] = [-1, -1]
    let status = rstream_socket_pair(&pair)
    guard status == 0, pair.count == 2 else { throw .uv(status, attempt) }
    let local: SocketChannel
    do throws(Failure) {
      local = try SocketChannel(client.loop, descriptor: pair[0], peer: nil)
    } catch {
      Glibc.close(pair[1])
      throw error
    }
    failWrites(closed("write"))
    isClosed = true
    read = nil
    channel.delegate = nil
    channel.readStop()
    client.add(Relay(client, channel, local, aEnded: endDelivered, nil))
    client.remove(self)
    return pair[1]
  }

  /// Takes the channel out of a stream that was never handed to the application; nil when it has broken meanwhile.
  func takeChannel() -> ByteChannel? {
    guard isOpen else { return nil }
    isClosed = true
    channel.delegate = nil
    client.remove(self)
    return channel
  }

  // MARK: Ending

  private func end(_ done: @escaping () -> Void, _ how: () -> Void) throws(Failure) {
    guard !isClosed else { throw closed("close") }
    isClosed = true
    read = nil
    how()
    client.loop.later { [self] in
      failWrites(closed("write"))
      done()
      client.remove(self)
    }
  }

  /// The client goes: the application hears of it as of any failure, and may still close the stream itself.
  func clientIsClosing() {
    guard !isClosed else { return }
    isEnding = true
    channel.delegate = nil
    channel.reset()
    client.loop.later { [self] in
      fail(Failure(ErrorCode.clientClosed, "the client of the stream was closed"))
      client.remove(self)
    }
  }

  private func closed(_ attempt: String) -> Failure {
    Failure(ErrorCode.streamClosed, "\(attempt): the stream is closed")
  }

  private func fail(_ failure: Failure) {
    guard self.failure == nil, !isClosed else { return }
    self.failure = failure
    failWrites(failure)
    let report = read
    read = nil
    report?(UnsafeRawBufferPointer(start: nil, count: 0), failure)
  }

  // MARK: Writes under way

  private func reportWhenWritten(_ token: WriteToken) {
    pendingWrites.append(token)
    if channel.queuedBytes == 0 { reportWritesLater() }
  }

  private func reportWritesLater() {
    guard !reportsWrites else { return }
    reportsWrites = true
    client.loop.later { [self] in
      reportsWrites = false
      if !isClosed, !isEnding, failure == nil, channel.queuedBytes == 0 { reportWrites(nil) }
    }
  }

  private func reportWrites(_ failure: Failure?) {
    let tokens = pendingWrites
    pendingWrites.removeAll(keepingCapacity: true)
    for token in tokens { onWritten?(token, failure) }
  }

  private func failWrites(_ failure: Failure) {
    if !pendingWrites.isEmpty { reportWrites(failure) }
  }

  // MARK: ByteChannelDelegate

  public func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {
    read?(bytes, nil)
  }

  public func channelReceivedEnd(_ channel: ByteChannel) {
    endDelivered = true
    let report = read
    read = nil
    report?(UnsafeRawBufferPointer(start: nil, count: 0), nil)
  }

  public func channelDrained(_ channel: ByteChannel) {
    if !pendingWrites.isEmpty { reportWrites(nil) }
  }

  public func channel(_ channel: ByteChannel, failed failure: Failure) {
    fail(failure)
  }
}
