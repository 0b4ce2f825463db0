// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import Glibc

/// A UDP port where DTLS clients come in: each address has one association. Nothing is kept for a client before it has
/// shown the cookie that it was sent.
public final class DTLSListener: DatagramReceiver {
  public typealias Accept = (DTLSChannel, Failure?) -> Void
  /// Counts an association until what is returned is gone; nil when there are too many.
  public typealias Admit = () -> AnyObject?

  /// Handshakes under way at once.
  static let handshakeLimit = 1024

  private let loop: Loop
  private let socket: any DatagramPath
  private let context: TLSContext
  private let handshakeTimeout: UInt64
  private let admit: Admit
  private let choose: DTLSChannel.Choose
  private var onAccept: Accept?
  private let selector: UnsafeMutablePointer<rstream_dtls_selector>
  private var paths: [PeerKey: PeerPath] = [:]
  private(set) var handshakes = 0
  /// Sees the clients that have no association yet.
  private var gate: (ssl: OpaquePointer, io: UnsafeMutablePointer<rstream_dtls_io>)?
  private var gateRoute: DatagramRoute?

  public let address: SocketAddress

  /// - Parameters:
  ///   - admit: asked when a client has shown its cookie
  ///   - choose: says what a client is served with
  ///   - onAccept: told of each association when its handshake is done, or why it failed
  public convenience init(
    _ loop: Loop, on address: SocketAddress, _ context: TLSContext, handshakeTimeout: UInt64, admit: @escaping Admit,
    choose: @escaping DTLSChannel.Choose, _ onAccept: @escaping Accept
  ) throws(Failure) {
    let socket = try QUICSocket(loop, on: address, for: .dtls)
    self.init(
      loop, over: socket, socket.address, context, handshakeTimeout: handshakeTimeout, admit: admit, choose: choose,
      onAccept)
  }

  init(
    _ loop: Loop, over socket: any DatagramPath, _ address: SocketAddress, _ context: TLSContext,
    handshakeTimeout: UInt64, admit: @escaping Admit, choose: @escaping DTLSChannel.Choose,
    _ onAccept: @escaping Accept
  ) {
    self.loop = loop
    self.socket = socket
    self.address = address
    self.context = context
    self.handshakeTimeout = handshakeTimeout
    self.admit = admit
    self.choose = choose
    self.onAccept = onAccept
    selector = .allocate(capacity: 1)
    selector.initialize(to: rstream_dtls_selector(select: DTLSChannel.selector))
    rstream_dtls_prepare_server(context.raw, selector)
    socket.receiver = self
  }

  deinit { selector.deallocate() }

  /// No new associations; handshakes under way are given up. The port is given back when the last one has ended.
  public func close() {
    onAccept = nil
    dropGate()
    for path in Array(paths.values) {
      if let channel = path.delegate as? DTLSChannel, !channel.isEstablished { channel.close() }
    }
    closeWhenEmpty()
  }

  private func closeWhenEmpty() {
    if onAccept == nil, paths.isEmpty { socket.close() }
  }

  // MARK: DatagramReceiver

  public func pathReceived(_ packet: UnsafeRawBufferPointer, ecn: UInt32, _ route: DatagramRoute) {
    guard let peer = SocketAddress(route.remote) else { return }
    let key = PeerKey(peer)
    if let path = paths[key], !beginsAnew(packet, path) {
      path.received(packet)
    } else if onAccept != nil {
      look(at: packet, from: peer, key, route)
    }
  }

  /// Whether a client starts over, as one does that has lost its association (RFC 6347, section 4.2.8). The old one goes
  /// when the new one's cookie has come. A hello that the network repeats is none of that.
  private func beginsAnew(_ packet: UnsafeRawBufferPointer, _ path: PeerPath) -> Bool {
    guard let hello = DTLSHello(packet) else { return false }
    return hello != path.hello
  }

  public func pathCanSend() {
    for path in paths.values { path.delegate?.packetChannelDrained(path) }
  }

  public func pathFailed(_ failure: Failure) {}

  /// Whether a packet was taken, or is lost.
  @discardableResult
  fileprivate func send(_ packet: UnsafeRawBufferPointer, _ route: DatagramRoute) -> Bool {
    !socket.isBlocked && socket.send(packet, size: max(1, packet.count), ecn: 0, route) == 0
  }

  /// Associations have no queues of their own: while the socket's buffer is full, all of them wait.
  fileprivate var isBlocked: Bool { socket.isBlocked }

  fileprivate func ended(_ path: PeerPath) {
    settled(path)
    if paths[path.key] === path { paths[path.key] = nil }
    closeWhenEmpty()
  }

  private func settled(_ path: PeerPath) {
    guard path.isHandshaking else { return }
    path.isHandshaking = false
    handshakes -= 1
  }

  // MARK: New clients

  private func look(at packet: UnsafeRawBufferPointer, from peer: SocketAddress, _ key: PeerKey, _ route: DatagramRoute)
  {
    guard DTLSHello.mayBegin(packet), let gate = gate ?? makeGate() else { return }
    self.gate = gate
    gateRoute = route
    gate.io.pointee.input = packet.baseAddress?.assumingMemoryBound(to: UInt8.self)
    gate.io.pointee.input_length = packet.count
    key.write(to: gate.io)
    let status = rstream_dtls_listen(gate.ssl)
    gateRoute = nil
    gate.io.pointee.input = nil
    gate.io.pointee.input_length = 0
    rstream_tls_take_error()
    guard status != 0 else { return }
    guard status > 0 else { return dropGate() }
    // A client that starts over takes the place that it has. Whoever finds none sends its hello again, until it gives up
    // or there is one.
    let old = paths[key]
    guard handshakes < Self.handshakeLimit || old?.isHandshaking == true, let place = old?.attachment ?? admit()
    else { return dropGate() }
    (old?.delegate as? DTLSChannel)?.isReplaced()
    self.gate = nil
    let path = PeerPath(loop, self, peer, key, route, DTLSHello(packet))
    path.attachment = place
    paths[key] = path
    handshakes += 1
    let channel = DTLSChannel(gate.ssl, gate.io, over: path, deadline: handshakeTimeout, choose: choose)
    channel.accept { [self] failure in
      settled(path)
      onAccept?(channel, failure)
    }
  }

  private func makeGate() -> (ssl: OpaquePointer, io: UnsafeMutablePointer<rstream_dtls_io>)? {
    let io = UnsafeMutablePointer<rstream_dtls_io>.allocate(capacity: 1)
    io.initialize(to: rstream_dtls_io())
    io.pointee.mtu = DTLSChannel.mtu
    io.pointee.owner = Unmanaged.passUnretained(self).toOpaque()
    io.pointee.output = { owner, bytes, count in
      guard let owner else { return }
      let listener = Unmanaged<DTLSListener>.fromOpaque(owner).takeUnretainedValue()
      guard let route = listener.gateRoute else { return }
      listener.send(UnsafeRawBufferPointer(start: bytes, count: count), route)
    }
    guard let ssl = rstream_dtls_new(context.raw, io) else {
      io.deallocate()
      return nil
    }
    return (ssl, io)
  }

  private func dropGate() {
    guard let gate else { return }
    self.gate = nil
    SSL_free(gate.ssl)
    gate.io.deallocate()
  }
}

/// An address as a key.
private struct PeerKey: Hashable {
  private var host = SIMD16<UInt8>()
  private var port: UInt16
  private var scope: UInt32

  init(_ address: SocketAddress) {
    port = address.port
    scope = address.scope
    switch address.host {
    case .v4(let number): for index in 0..<4 { host[index] = UInt8(truncatingIfNeeded: number >> (24 - 8 * index)) }
    case .v6(let bytes): host = bytes
    case .unix: break
    }
  }

  /// As what a cookie stands for.
  func write(to io: UnsafeMutablePointer<rstream_dtls_io>) {
    withUnsafeMutableBytes(of: &io.pointee.peer) { room in
      for index in 0..<16 { room[index] = host[index] }
      room[16] = UInt8(truncatingIfNeeded: port >> 8)
      room[17] = UInt8(truncatingIfNeeded: port)
    }
    io.pointee.peer_length = 18
  }
}

/// The datagrams of one address on a shared socket.
private final class PeerPath: PacketChannel {
  private let listener: DTLSListener
  private let remote: SocketAddress
  let key: PeerKey
  /// What the association began with; nil when it came in pieces too small to tell.
  let hello: DTLSHello?
  var isHandshaking = true
  private let local = UnsafeMutablePointer<sockaddr_storage>.allocate(capacity: 1)
  private let peerStorage = UnsafeMutablePointer<sockaddr_storage>.allocate(capacity: 1)
  private let route: DatagramRoute

  init(
    _ loop: Loop, _ listener: DTLSListener, _ remote: SocketAddress, _ key: PeerKey, _ route: DatagramRoute,
    _ hello: DTLSHello?
  ) {
    self.listener = listener
    self.remote = remote
    self.key = key
    self.hello = hello
    local.initialize(to: sockaddr_storage())
    peerStorage.initialize(to: sockaddr_storage())
    let size = MemoryLayout<sockaddr_storage>.size
    memcpy(local, route.local, min(size, Int(route.localLength)))
    memcpy(peerStorage, route.remote, min(size, Int(route.remoteLength)))
    self.route = DatagramRoute(
      local: UnsafeMutableRawPointer(local).assumingMemoryBound(to: sockaddr.self), route.localLength,
      remote: UnsafeMutableRawPointer(peerStorage).assumingMemoryBound(to: sockaddr.self), route.remoteLength)
    super.init(loop)
  }

  deinit {
    local.deallocate()
    peerStorage.deallocate()
  }

  override var path: Path { .udp }
  override var maximumSize: Int { UDPSocketChannel.maximumPayload }
  override var queuedPackets: Int { listener.isBlocked ? Self.queueLimit : 0 }
  override var peer: SocketAddress? { remote }

  func received(_ packet: UnsafeRawBufferPointer) {
    deliver(packet)
    if !isClosed { delegate?.packetChannelPaused(self) }
  }

  override func transmit(_ packet: UnsafeRawBufferPointer) -> PacketOutcome {
    listener.send(packet, route) ? .taken : .full
  }

  override func close() {
    guard !isClosed else { return }
    _ = finish()
    attachment = nil
    listener.ended(self)
  }
}
