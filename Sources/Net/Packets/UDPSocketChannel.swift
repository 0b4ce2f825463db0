// SPDX-License-Identifier: Apache-2.0
import CPlatform
import CUV
import Glibc

/// The packets of a UDP socket that is connected to one peer.
///
/// UDP tells nothing of its end. Only a peer that refuses packets before it has ever sent one is taken to be absent: a
/// service that has answered may be away for a moment.
public final class UDPSocketChannel: PacketChannel, SocketOwner {
  /// The largest payload of an IPv4 packet.
  public static let maximumPayload = 65_507
  /// How many packets are taken in one turn.
  private static let turn = 64
  private static let bufferSize: Int32 = 1 << 20

  private let remote: SocketAddress
  private let socket: SocketWatcher
  private var queue = PacketQueue()
  private var isRefused = false

  /// Opens a socket towards an address.
  public init(_ loop: Loop, to remote: SocketAddress) throws(Failure) {
    self.remote = remote
    let attempt = "send to"
    socket = try SocketWatcher(
      loop, SocketPolicy().makeDatagramSocket(to: remote, attempt), "\(attempt) \(remote)")
    super.init(loop)
    SocketOption.set(socket.descriptor, SOL_SOCKET, SO_RCVBUF, Self.bufferSize)
    SocketOption.set(socket.descriptor, SOL_SOCKET, SO_SNDBUF, Self.bufferSize)
    socket.owner = self
  }

  deinit { queue.removeAll() }

  public override var path: Path { .udp }
  public override var maximumSize: Int { Self.maximumPayload }
  public override var queuedPackets: Int { queue.count }
  public override var isFull: Bool { queue.isFull }
  public override var peer: SocketAddress? { remote }

  override func transmit(_ packet: UnsafeRawBufferPointer) -> PacketOutcome {
    if queue.isEmpty, transmitNow(packet) { return .taken }
    guard queue.append(packet) else { return .full }
    updateInterest()
    return .taken
  }

  /// False when the socket has no room. What else goes wrong with a packet is its own loss, a system without memory
  /// included: the socket is writable all the same.
  private func transmitNow(_ packet: UnsafeRawBufferPointer) -> Bool {
    var sent = rstream_send(socket.descriptor, packet.baseAddress, packet.count)
    // An earlier packet was refused; this one has not been sent yet.
    if sent == -Int(ECONNREFUSED) {
      refused()
      sent = rstream_send(socket.descriptor, packet.baseAddress, packet.count)
    }
    return sent != -Int(EAGAIN)
  }

  public override func close() {
    guard !isClosed else { return }
    _ = finish()
    release()
  }

  // MARK: Events

  override func readingChanged() { updateInterest() }

  func socketReady(_ status: Int32, _ events: Int32) {
    if status < 0 {
      // A packet was answered with an ICMP error, for which libuv stops watching.
      if SocketOption.takeError(socket.descriptor) == ECONNREFUSED { refused() }
      return updateInterest()
    }
    if events & SocketWatcher.writable != 0 { flush() }
    if !isClosed, isReading, events & SocketWatcher.readable != 0 { receive() }
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
      let count = rstream_receive(socket.descriptor, scratch.baseAddress, Loop.chunkSize)
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
      tell(.uv(-ECONNREFUSED, "send to \(remote)"), listener)
    }
  }

  private func updateInterest() {
    var wanted: Int32 = 0
    if isReading { wanted |= SocketWatcher.readable }
    if !queue.isEmpty { wanted |= SocketWatcher.writable }
    socket.watch(wanted)
  }

  private func release() {
    queue.removeAll()
    socket.close()
  }
}
