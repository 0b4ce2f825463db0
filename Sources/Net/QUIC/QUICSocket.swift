// SPDX-License-Identifier: Apache-2.0
import CPlatform
import CUV
import Glibc

/// A UDP socket for QUIC: packets leave and arrive in batches that the kernel divides and joins (GSO, GRO), with their ECN
/// marks, unfragmented. A client's is connected to one peer, a server's shared by all its connections. A server of DTLS has
/// one, too, whose packets IP may fragment.
public final class QUICSocket: DatagramPath, SocketOwner {
  /// Asked for in each direction: a burst of packets is dropped where it does not fit.
  static let wantedBuffer: Int32 = 4 << 20
  /// Messages read before others get their turn.
  private static let roundsPerEvent = 4
  /// How many batches in a row have to fail, whose packets may have been too large, before there are no more batches.
  private static let batchAttempts = 8

  /// What a server's socket is for.
  public enum Purpose: String {
    case quic = "QUIC"
    /// Has no say in how long its packets are, and probes no path.
    case dtls = "DTLS"
  }

  public var receiver: (any DatagramReceiver)?
  public let address: SocketAddress
  /// What the system gave of `wantedBuffer`, as it counts.
  public private(set) var receiveBuffer: Int32 = 0
  public private(set) var sendBuffer: Int32 = 0
  /// Whether the kernel divides batches; found out by trying.
  private var usesSegmentation = true
  private var failedBatches = 0
  public let largestPacket = 65_527

  private let loop: Loop
  private let isConnected: Bool
  private let purpose: Purpose
  private let socket: SocketWatcher
  private let messages: UnsafeMutablePointer<rstream_datagrams>
  private let own: UnsafeMutablePointer<sockaddr_storage>
  private var ownLength = socklen_t(MemoryLayout<sockaddr_storage>.size)
  private var backlog: Backlog?

  /// A batch that the socket did not take.
  private struct Backlog {
    var bytes: [UInt8]
    var size: Int
    var ecn: UInt32
    var local = sockaddr_storage()
    var remote = sockaddr_storage()
    var remoteLength: socklen_t
  }

  /// A client's socket towards one address.
  public convenience init(_ loop: Loop, to peer: SocketAddress, _ policy: SocketPolicy = SocketPolicy()) throws(Failure)
  {
    let descriptor = try policy.makeDatagramSocket(to: peer, "connect to")
    try self.init(loop, descriptor, peer.family, isConnected: true, .quic)
  }

  /// A server's socket; port 0 takes a free one, which `address` then tells.
  public convenience init(_ loop: Loop, on wanted: SocketAddress, for purpose: Purpose = .quic) throws(Failure) {
    let attempt = "listen on \(wanted) for \(purpose.rawValue)"
    let descriptor = rstream_datagram_socket(wanted.family)
    guard descriptor >= 0 else { throw .uv(descriptor, attempt) }
    if case .v6 = wanted.host { SocketOption.set(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0) }
    guard wanted.withSockaddr({ bind(descriptor, $0, $1) }) == 0 else {
      let failure = Failure.errno(attempt)
      Glibc.close(descriptor)
      throw failure
    }
    try self.init(loop, descriptor, wanted.family, isConnected: false, purpose)
  }

  private init(
    _ loop: Loop, _ descriptor: Int32, _ family: Int32, isConnected: Bool, _ purpose: Purpose
  ) throws(Failure) {
    let socket = try SocketWatcher(loop, descriptor, "watch a socket")
    guard let address = SocketOption.localAddress(of: descriptor) else {
      socket.close()
      throw .uv(UV_EBADF.rawValue, "watch a socket")
    }
    self.loop = loop
    self.socket = socket
    self.isConnected = isConnected
    self.purpose = purpose
    self.address = address
    messages = .allocate(capacity: Int(RSTREAM_DATAGRAM_MESSAGES))
    messages.initialize(repeating: rstream_datagrams(), count: Int(RSTREAM_DATAGRAM_MESSAGES))
    own = .allocate(capacity: 1)
    own.initialize(to: sockaddr_storage())
    getsockname(descriptor, UnsafeMutableRawPointer(own).assumingMemoryBound(to: sockaddr.self), &ownLength)
    rstream_datagram_prepare(descriptor, family, isConnected ? 0 : 1, purpose == .dtls ? 1 : 0)
    rstream_datagram_buffers(descriptor, Self.wantedBuffer, &receiveBuffer, &sendBuffer)
    socket.owner = self
    Log.debug(
      "quic",
      "socket \(address): asked for buffers of \(Self.wantedBuffer) bytes, got \(receiveBuffer) to receive and "
        + "\(sendBuffer) to send")
    socket.watch(SocketWatcher.readable)
  }

  deinit {
    messages.deallocate()
    own.deallocate()
  }

  public func close() {
    receiver = nil
    backlog = nil
    socket.close()
  }

  func socketReady(_ status: Int32, _ events: Int32) {
    if events & SocketWatcher.writable != 0 { sendBacklog() }
    if events & SocketWatcher.readable != 0 || events == 0 { receive() }
    // An ICMP message: the peer may be back before the connection gives up.
    if status < 0 { watch() }
  }

  private func watch() {
    socket.watch(backlog == nil ? SocketWatcher.readable : SocketWatcher.readable | SocketWatcher.writable)
  }

  // MARK: Receiving

  private func receive() {
    let scratch = loop.takeScratch()
    defer { loop.giveBackScratch(scratch) }
    guard let memory = scratch.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
    for _ in 0..<Self.roundsPerEvent {
      guard !socket.isClosed else { return }
      let count = rstream_datagram_receive(socket.descriptor, memory, messages, address.port)
      guard count >= 0 else {
        if count != -EAGAIN, count != -EINTR { receiver?.pathFailed(.uv(count, "receive")) }
        return
      }
      for index in 0..<Int(count) { deliver(messages + index) }
      loop.gathering.deliver()
      if count < Int32(RSTREAM_DATAGRAM_MESSAGES) { return }
    }
  }

  private func deliver(_ message: UnsafeMutablePointer<rstream_datagrams>) {
    let remote = UnsafeMutableRawPointer(message).advanced(by: Self.remoteOffset).assumingMemoryBound(to: sockaddr.self)
    let knowsLocal = message.pointee.local_length > 0
    let local =
      knowsLocal
      ? UnsafeMutableRawPointer(message).advanced(by: Self.localOffset).assumingMemoryBound(to: sockaddr.self)
      : UnsafeMutableRawPointer(own).assumingMemoryBound(to: sockaddr.self)
    let route = DatagramRoute(
      local: local, knowsLocal ? message.pointee.local_length : ownLength, remote: remote,
      message.pointee.remote_length)
    let all = UnsafeRawBufferPointer(start: message.pointee.bytes, count: message.pointee.length)
    receiver?.pathReceived(all, size: message.pointee.segment, ecn: message.pointee.ecn, route)
  }

  private static let remoteOffset = MemoryLayout<rstream_datagrams>.offset(of: \.remote) ?? 0
  private static let localOffset = MemoryLayout<rstream_datagrams>.offset(of: \.local) ?? 0

  // MARK: Sending

  public var isBlocked: Bool { backlog != nil }

  public func send(_ packets: UnsafeRawBufferPointer, size: Int, ecn: UInt32, _ route: DatagramRoute) -> Int32 {
    guard !socket.isClosed, backlog == nil, size > 0 else { return 0 }
    if usesSegmentation || packets.count <= size {
      let sent = sendBatch(packets, size, ecn, route)
      if sent == -Int(EAGAIN) {
        wait(packets, size, ecn, route)
        return 0
      }
      let isBatch = packets.count > size
      if sent >= 0, isBatch { failedBatches = 0 }
      guard sent < 0, isBatch, mayBeDivided(sent, size) else { return told(sent) }
    }
    return sendEach(packets, size, ecn, route)
  }

  /// Whether a batch failed as a batch: each of its packets may still go its way.
  private func mayBeDivided(_ status: Int, _ size: Int) -> Bool {
    switch status {
    case -Int(EMSGSIZE): return true
    case -Int(EINVAL):
      // Systems without batches say this, and others of packets that are larger than what the device carries.
      failedBatches += 1
      if size > QUICSettings.smallestMaximum, failedBatches < Self.batchAttempts { return true }
    case -Int(EIO), -Int(ENOPROTOOPT), -Int(EOPNOTSUPP): break
    default: return false
    }
    usesSegmentation = false
    Log.debug("quic", "socket \(address): the system does not divide batches (UDP_SEGMENT)")
    return true
  }

  private func sendEach(_ packets: UnsafeRawBufferPointer, _ size: Int, _ ecn: UInt32, _ route: DatagramRoute) -> Int32
  {
    var rest = packets
    while !rest.isEmpty {
      let sent = sendBatch(UnsafeRawBufferPointer(rebasing: rest.prefix(size)), size, ecn, route)
      if sent == -Int(EAGAIN) {
        wait(rest, size, ecn, route)
        return 0
      }
      if told(sent) < 0 { return told(sent) }
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(size))
    }
    return 0
  }

  private func sendBatch(_ bytes: UnsafeRawBufferPointer, _ size: Int, _ ecn: UInt32, _ route: DatagramRoute) -> Int {
    // Of a connected socket's addresses only the family counts, which a path through a proxy may have another of.
    isConnected
      ? rstream_datagram_send(socket.descriptor, bytes.baseAddress, bytes.count, size, ecn, 1, own, ownLength, own)
      : rstream_datagram_send(
        socket.descriptor, bytes.baseAddress, bytes.count, size, ecn, 0, route.remote, route.remoteLength, route.local)
  }

  /// What the sender hears of the system's answer. Too large packets are lost: probes for the path MTU are meant to be. So is
  /// what the network does not take just now, or the system has no memory for: a socket is writable all the same.
  private func told(_ status: Int) -> Int32 {
    guard status < 0 else { return 0 }
    return purpose == .dtls || status == -Int(ECONNREFUSED) ? Int32(clamping: status) : 0
  }

  private func wait(_ bytes: UnsafeRawBufferPointer, _ size: Int, _ ecn: UInt32, _ route: DatagramRoute) {
    var waiting = Backlog(bytes: Array(bytes), size: size, ecn: ecn, remoteLength: route.remoteLength)
    Self.copy(route.local, route.localLength, &waiting.local)
    Self.copy(route.remote, route.remoteLength, &waiting.remote)
    backlog = waiting
    watch()
  }

  private static func copy(
    _ address: UnsafeMutablePointer<sockaddr>, _ length: socklen_t, _ storage: inout sockaddr_storage
  ) {
    withUnsafeMutableBytes(of: &storage) { room in
      room.copyMemory(from: UnsafeRawBufferPointer(start: address, count: min(Int(length), room.count)))
    }
  }

  private func sendBacklog() {
    guard var waiting = backlog else { return }
    backlog = nil
    watch()
    let bytes = waiting.bytes
    withUnsafeMutablePointer(to: &waiting) { waiting in
      let raw = UnsafeMutableRawPointer(waiting)
      let remote = raw.advanced(by: MemoryLayout<Backlog>.offset(of: \.remote) ?? 0)
      let local = raw.advanced(by: MemoryLayout<Backlog>.offset(of: \.local) ?? 0)
      let route = DatagramRoute(
        local: local.assumingMemoryBound(to: sockaddr.self), ownLength,
        remote: remote.assumingMemoryBound(to: sockaddr.self), waiting.pointee.remoteLength)
      bytes.withUnsafeBytes { _ = send($0, size: waiting.pointee.size, ecn: waiting.pointee.ecn, route) }
    }
    if backlog == nil { receiver?.pathCanSend() }
  }
}
