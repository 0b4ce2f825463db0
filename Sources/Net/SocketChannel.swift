// SPDX-License-Identifier: Apache-2.0
import CPlatform
import CUV
import Glibc

/// A connected stream socket, TCP or Unix.
///
/// The socket is watched with uv_poll and used with send and recv directly: libuv's own streams write without
/// MSG_NOSIGNAL, and a library may neither let SIGPIPE end its host nor change how the host handles signals.
public final class SocketChannel: ByteChannel, SocketOwner {
  /// How long a closed channel may take to send what is queued, in milliseconds.
  static let flushTimeout: UInt64 = 10_000
  /// How long, and for how many bytes, a closed channel drops what still arrives, so that the peer reads our last bytes
  /// instead of being reset.
  static let lingerTimeout: UInt64 = 2_000
  static let lingerLimit = 262_144

  private let socket: SocketWatcher
  private var queue = ByteQueue()
  private var endReceived = false
  private var endRequested = false
  private var endSent = false
  private var failure: Failure?
  private var isLingering = false
  private var lingered = 0
  private var closeTimer: LoopTimer?
  private let remote: SocketAddress?

  /// Takes over a connected, non-blocking socket. It is closed when that fails.
  public init(_ loop: Loop, descriptor: Int32, peer: SocketAddress?) throws(Failure) {
    socket = try SocketWatcher(loop, descriptor, "watch a socket")
    remote = peer
    super.init(loop)
    socket.owner = self
    SocketOption.prepareStream(descriptor, tcp: peer.map { $0.family != AF_UNIX } ?? false)
    updateInterest()
  }

  deinit { queue.removeAll() }

  public override var queuedBytes: Int { queue.count }
  public override var peer: SocketAddress? { remote }

  /// The address of the own end.
  public var local: SocketAddress? { socket.isClosed ? nil : SocketOption.localAddress(of: socket.descriptor) }

  public override func write(_ bytes: UnsafeRawBufferPointer) {
    guard !isClosed, !endRequested, failure == nil, bytes.count > 0 else { return }
    var rest = bytes
    if queue.isEmpty {
      let sent = rstream_send(socket.descriptor, bytes.baseAddress, bytes.count)
      if sent == bytes.count { return }
      if sent < 0 {
        guard Self.isTransient(sent) else { return fail(later: .uv(Int32(sent), "send")) }
      } else {
        rest = UnsafeRawBufferPointer(rebasing: bytes[sent...])
      }
    }
    queue.append(rest)
    updateInterest()
  }

  public override func shutdown() {
    guard !isClosed, !endRequested else { return }
    endRequested = true
    sendEndWhenDrained()
  }

  public override func close() {
    guard !isClosed else { return }
    isClosed = true
    delegate = nil
    dropPushedBack()
    guard failure == nil else { return release() }
    endRequested = true
    if !queue.isEmpty {
      closeTimer = LoopTimer(loop, after: Self.flushTimeout) { [self] in abort() }
    }
    sendEndWhenDrained()
    updateInterest()
  }

  public override func reset() {
    guard !isClosed else { return }
    isClosed = true
    delegate = nil
    dropPushedBack()
    abort()
  }

  override func readingChanged() { updateInterest() }

  // MARK: Events

  func socketReady(_ status: Int32, _ events: Int32) {
    if isClosed { return readyAfterClose(status, events) }
    if status < 0 {
      // The socket itself knows better than libuv's EBADF.
      while receive() {}
      if !isClosed { fail(socketError() ?? .uv(UV_ECONNRESET.rawValue, "connection")) }
      return
    }
    if events & SocketWatcher.writable != 0 { flush() }
    if isClosed { return }
    if events & SocketWatcher.readable != 0 { receive() }
    if events & SocketWatcher.prioritized != 0, !isClosed {
      if let error = socketError() { return fail(error) }
      // A hang-up of a socket that nobody reads: nothing to do until reading goes on.
      socket.watch(0)
    }
  }

  /// One read an event: a source that always has more takes turns with the others. True when there may be more.
  @discardableResult
  private func receive() -> Bool {
    guard !mustWait, !endReceived, !isClosed else { return false }
    let scratch = loop.takeScratch()
    defer { loop.giveBackScratch(scratch) }
    let count = rstream_receive(socket.descriptor, scratch.baseAddress, Loop.chunkSize)
    if count > 0 {
      delegate?.channel(self, received: UnsafeRawBufferPointer(rebasing: scratch[..<count]))
      return true
    }
    if count == 0 {
      endReceived = true
      updateInterest()
      delegate?.channelReceivedEnd(self)
    } else if !Self.isTransient(count) {
      fail(.uv(Int32(count), "receive"))
    }
    return false
  }

  private func flush() {
    while !queue.isEmpty {
      let bytes = queue.bytes
      let sent = rstream_send(socket.descriptor, bytes.baseAddress, bytes.count)
      if sent < 0 {
        if !Self.isTransient(sent) { fail(.uv(Int32(sent), "send")) }
        return
      }
      queue.removeFirst(sent)
    }
    sendEndWhenDrained()
    updateInterest()
    if !isClosed { delegate?.channelDrained(self) }
  }

  private func sendEndWhenDrained() {
    guard endRequested, queue.isEmpty, !socket.isClosed else { return }
    if !endSent {
      endSent = true
      _ = Glibc.shutdown(socket.descriptor, Int32(SHUT_WR))
    }
    guard isClosed else { return updateInterest() }
    if endReceived { return release() }
    if !isLingering {
      isLingering = true
      closeTimer?.close()
      closeTimer = LoopTimer(loop, after: Self.lingerTimeout) { [self] in release() }
    }
  }

  private func readyAfterClose(_ status: Int32, _ events: Int32) {
    guard !socket.isClosed else { return }
    guard status == 0 else { return release() }
    if events & SocketWatcher.writable != 0 {
      flush()
      guard !socket.isClosed else { return }
    }
    guard events & SocketWatcher.readable != 0 else {
      if events & SocketWatcher.prioritized != 0 { release() }
      return
    }
    let scratch = loop.takeScratch()
    let count = rstream_receive(socket.descriptor, scratch.baseAddress, Loop.chunkSize)
    loop.giveBackScratch(scratch)
    if count > 0 {
      lingered += count
      if lingered > Self.lingerLimit { abort() }
    } else if count == 0 {
      endReceived = true
      sendEndWhenDrained()
      updateInterest()
    } else if !Self.isTransient(count) {
      release()
    }
  }

  private static func isTransient(_ result: Int) -> Bool { result == -Int(EAGAIN) || result == -Int(EINTR) }

  // MARK: Failing and ending

  private func socketError() -> Failure? {
    let error = SocketOption.takeError(socket.descriptor)
    return error == 0 ? nil : .uv(-error, "connection")
  }

  /// Tells the delegate in the next iteration: it is in the middle of a call to this channel.
  private func fail(later failure: Failure) {
    guard self.failure == nil else { return }
    self.failure = failure
    queue.removeAll()
    socket.watch(0)
    loop.later { [self] in
      if !isClosed { report(failure) }
    }
  }

  private func fail(_ failure: Failure) {
    if isClosed { return release() }
    guard self.failure == nil else { return }
    self.failure = failure
    report(failure)
  }

  private func report(_ failure: Failure) {
    let listener = delegate
    isClosed = true
    delegate = nil
    dropPushedBack()
    release()
    listener?.channel(self, failed: failure)
  }

  private func abort() {
    if !socket.isClosed { SocketOption.setLinger(socket.descriptor, seconds: 0) }
    release()
  }

  /// Gives the socket and its watcher back.
  private func release() {
    closeTimer?.close()
    closeTimer = nil
    queue.removeAll()
    socket.close()
  }

  // MARK: Watching

  private func updateInterest() {
    var wanted: Int32 = 0
    if isLingering || (!mustWait && !endReceived) || (isClosed && !endReceived) {
      wanted |= SocketWatcher.readable
    }
    if !queue.isEmpty { wanted |= SocketWatcher.writable }
    // With nothing else to wait for a reset of the connection is still noticed, unless both directions have ended: such
    // a socket reports its hang-up without end.
    if wanted == 0 && !(endReceived && endSent) { wanted = SocketWatcher.prioritized }
    socket.watch(wanted)
  }
}
