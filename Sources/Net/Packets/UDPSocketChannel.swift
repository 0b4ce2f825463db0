// SPDX-License-Identifier: Apache-2.0
import CPlatform
import CUV
import Glibc

/// The packets of a UDP socket that is connected to one peer.
///
/// UDP tells nothing of its end. Only a peer that refuses packets before it has ever sent one is taken to be absent: a
/// service that has answered may be away for a moment.
public final class UDPSocketChannel: PacketChannel {
  /// The largest payload of an IPv4 packet.
  public static let maximumPayload = 65_507
  /// How many packets are taken in one turn.
  private static let turn = 64
  private static let bufferSize: Int32 = 1 << 20

  private let remote: SocketAddress
  private var descriptor: Int32
  private var poll: UnsafeMutablePointer<uv_poll_t>?
  private var interest: Int32 = 0
  private var queue = PacketQueue()
  private var isRefused = false

  /// Opens a socket towards an address.
  public init(_ loop: Loop, to remote: SocketAddress) throws(Failure) {
    self.remote = remote
    descriptor = try SocketPolicy().makeDatagramSocket(to: remote)
    super.init(loop)
    let poll = UnsafeMutablePointer<uv_poll_t>.allocate(capacity: 1)
    var status: Int32 = 0
    if remote.withSockaddr({ connect(descriptor, $0, $1) }) != 0 { status = -errno }
    if status == 0 { status = uv_poll_init(loop.uv, poll, descriptor) }
    guard status == 0 else {
      poll.deallocate()
      Glibc.close(descriptor)
      descriptor = -1
      isClosed = true
      throw .uv(status, "send to \(remote)")
    }
    SocketOption.set(descriptor, SOL_SOCKET, SO_RCVBUF, Self.bufferSize)
    SocketOption.set(descriptor, SOL_SOCKET, SO_SNDBUF, Self.bufferSize)
    poll.pointee.data = Unmanaged.passRetained(self).toOpaque()
    self.poll = poll
    loop.handleOpened()
  }

  deinit { queue.removeAll() }

  public override var path: Path { .udp }
  public override var maximumSize: Int { Self.maximumPayload }
  public override var queuedPackets: Int { queue.count }
  public override var peer: SocketAddress? { remote }

  override func transmit(_ packet: UnsafeRawBufferPointer) -> PacketOutcome {
    if queue.isEmpty, transmitNow(packet) { return .taken }
    guard queue.append(packet) else { return .full }
    updateInterest()
    return .taken
  }

  /// False when the socket has no room. What else goes wrong with a packet is its own loss.
  private func transmitNow(_ packet: UnsafeRawBufferPointer) -> Bool {
    var sent = rstream_send(descriptor, packet.baseAddress, packet.count)
    // An earlier packet was refused; this one has not been sent yet.
    if sent == -Int(ECONNREFUSED) {
      refused()
      sent = rstream_send(descriptor, packet.baseAddress, packet.count)
    }
    return sent != -Int(EAGAIN) && sent != -Int(ENOBUFS)
  }

  public override func close() {
    guard !isClosed else { return }
    _ = finish()
    release()
  }

  // MARK: Events

  override func readingChanged() { updateInterest() }

  private func ready(_ status: Int32, _ events: Int32) {
    if status < 0 {
      // A packet was answered with an ICMP error, for which libuv stops watching.
      interest = 0
      if SocketOption.takeError(descriptor) == ECONNREFUSED { refused() }
      return updateInterest()
    }
    if events & Int32(UV_WRITABLE.rawValue) != 0 { flush() }
    if !isClosed, isReading, events & Int32(UV_READABLE.rawValue) != 0 { receive() }
  }

  private func flush() {
    while let packet = queue.first, transmitNow(packet) { queue.removeFirst() }
    guard queue.isEmpty else { return }
    updateInterest()
    delegate?.packetChannelDrained(self)
  }

  private func receive() {
    let scratch = loop.takeScratch()
    defer { loop.giveBackScratch(scratch) }
    for _ in 0..<Self.turn where isReading && !isClosed {
      let count = rstream_receive(descriptor, scratch.baseAddress, Loop.chunkSize)
      if count >= 0 {
        deliver(UnsafeRawBufferPointer(rebasing: scratch[..<count]))
      } else if count == -Int(ECONNREFUSED) {
        refused()
      } else if count == -Int(EAGAIN) {
        break
      }
    }
    if !isClosed { delegate?.packetChannelPaused(self) }
  }

  private func refused() {
    guard counters.received == 0, !isRefused else { return }
    isRefused = true
    loop.later { [self] in
      guard !isClosed else { return }
      let listener = finish()
      release()
      listener?.packetChannel(self, failed: .uv(-ECONNREFUSED, "send to \(remote)"))
    }
  }

  private func updateInterest() {
    guard let poll else { return }
    var wanted: Int32 = 0
    if isReading { wanted |= Int32(UV_READABLE.rawValue) }
    if !queue.isEmpty { wanted |= Int32(UV_WRITABLE.rawValue) }
    guard wanted != interest else { return }
    interest = wanted
    if wanted == 0 {
      uv_poll_stop(poll)
      return
    }
    uv_poll_start(poll, wanted) { handle, status, events in
      guard let data = handle?.pointee.data else { return }
      Unmanaged<UDPSocketChannel>.fromOpaque(data).takeUnretainedValue().ready(status, events)
    }
  }

  private func release() {
    queue.removeAll()
    guard let poll else { return }
    self.poll = nil
    uv_close(UnsafeMutableRawPointer(poll).assumingMemoryBound(to: uv_handle_t.self)) { handle in
      guard let handle, let data = handle.pointee.data else { return }
      let channel = Unmanaged<UDPSocketChannel>.fromOpaque(data).takeRetainedValue()
      UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_poll_t.self).deallocate()
      channel.loop.handleClosed()
    }
    Glibc.close(descriptor)
    descriptor = -1
  }
}
