// SPDX-License-Identifier: Apache-2.0
import CQUIC
import CUV
import Glibc

/// A UDP port for QUIC: assigns packets to connections by their connection IDs, and decides who may open new ones.
public final class QUICListener: DatagramReceiver {
  /// When a client has to prove its address before it costs anything (RFC 9000, section 8.1).
  public enum Validation: Sendable {
    case never
    /// While more than this many handshakes are under way.
    case above(Int)
    case always
  }

  public struct Limits: Sendable {
    public var validation = Validation.above(256)
    /// Handshakes under way at once.
    public var handshakes = 1024
    public var connections = 65_536
    public init() {}
  }

  public typealias Choose = (ClientHello, SocketAddress?) -> QUICServerChoice
  public typealias Accept = (QUICConnection) -> Void

  let loop: Loop
  let socket: QUICSocket
  public var address: SocketAddress { socket.address }
  private let settings: QUICSettings
  private let limits: Limits
  private let validator: AddressValidator
  private var choose: Choose?
  private var accept: Accept?
  private var connections: [ConnectionID: QUICConnection] = [:]
  /// The one that the last packet belonged to: packets come in trains.
  private var latest: (id: ConnectionID, connection: QUICConnection)?
  private var open: [ObjectIdentifier: [ConnectionID]] = [:]
  private var handshakes = 0
  private var lastReset: UInt64 = 0
  private var isClosed = false

  /// Listens on an address; port 0 takes a free one, which `address` then tells.
  /// - Parameters:
  ///   - secret: what stateless resets and tokens are made from; with the same one after a restart clients learn at once
  ///     that their connections are gone
  ///   - choose: asked for every ClientHello
  ///   - accept: told each connection whose first packet has come; its delegate is told when it opens
  public init(
    _ loop: Loop, on wanted: SocketAddress, _ settings: QUICSettings = QUICSettings(), _ limits: Limits = Limits(),
    secret: [UInt8]? = nil, choose: @escaping Choose, accept: @escaping Accept
  ) throws(Failure) {
    self.loop = loop
    self.settings = settings
    self.limits = limits
    self.choose = choose
    self.accept = accept
    validator = AddressValidator(secret)
    socket = try QUICSocket(loop, on: wanted)
    socket.receiver = self
  }

  /// Takes no more connections. Those that are there go on, and the port stays theirs until the last one has ended.
  public func close() {
    choose = nil
    accept = nil
    isClosed = true
    closeWhenEmpty()
  }

  public var buffers: (receive: Int32, send: Int32) { (socket.receiveBuffer, socket.sendBuffer) }

  private func closeWhenEmpty() {
    guard isClosed, open.isEmpty else { return }
    latest = nil
    socket.close()
  }

  // MARK: Connections

  func add(_ id: ngtcp2_cid, _ connection: QUICConnection) {
    guard let id = ConnectionID(id), connections[id] == nil else { return }
    connections[id] = connection
    open[ObjectIdentifier(connection), default: []].append(id)
  }

  func remove(_ id: ngtcp2_cid, _ connection: QUICConnection) {
    guard let id = ConnectionID(id), connections[id] === connection else { return }
    forget(id)
    open[ObjectIdentifier(connection)]?.removeAll { $0 == id }
  }

  private func forget(_ id: ConnectionID) {
    connections[id] = nil
    if latest?.id == id { latest = nil }
  }

  func remove(_ connection: QUICConnection) {
    for id in open.removeValue(forKey: ObjectIdentifier(connection)) ?? [] { forget(id) }
    closeWhenEmpty()
  }

  func opened(_ connection: QUICConnection) {
    handshakes -= 1
    guard let raw = connection.raw, let path = ngtcp2_conn_get_path(raw) else { return }
    let token = validator.token(path.pointee.remote)
    if !token.isEmpty { ngtcp2_conn_submit_new_token(raw, token, token.count) }
  }

  func handshakeEnded(_ connection: QUICConnection) { handshakes -= 1 }

  func writeResetToken(for id: ngtcp2_cid, _ token: UnsafeMutablePointer<UInt8>) {
    validator.writeResetToken(for: id, token)
  }

  func writeResetToken<Room>(for id: ngtcp2_cid, _ token: inout Room) {
    withUnsafeMutableBytes(of: &token) { room in
      guard room.count >= Int(NGTCP2_STATELESS_RESET_TOKENLEN), let start = room.baseAddress else { return }
      validator.writeResetToken(for: id, start.assumingMemoryBound(to: UInt8.self))
    }
  }

  // MARK: Packets

  public func pathReceived(_ packets: UnsafeRawBufferPointer, size: Int, ecn: UInt32, _ route: DatagramRoute) {
    guard size > 0 else { return }
    var rest = packets
    while !rest.isEmpty {
      var taken = size
      if let latest, let train = Self.train(rest, size, to: latest.id) {
        taken = train
        latest.connection.pathReceived(
          UnsafeRawBufferPointer(rebasing: rest.prefix(train)), size: size, ecn: ecn, route)
      } else {
        pathReceived(UnsafeRawBufferPointer(rebasing: rest.prefix(size)), ecn: ecn, route)
      }
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(taken))
    }
  }

  /// How many bytes at the front are packets of open connections (short headers) to one connection ID; nil for none.
  private static func train(_ packets: UnsafeRawBufferPointer, _ size: Int, to id: ConnectionID) -> Int? {
    let header = 1 + ConnectionID.ownCount
    guard let bytes = packets.baseAddress, min(size, packets.count) > header, packets[0] & 0x80 == 0,
      ConnectionID(UnsafeRawBufferPointer(rebasing: packets[1..<header])) == id
    else { return nil }
    var end = size
    while end + header < packets.count, packets[end] & 0x80 == 0,
      memcmp(bytes + 1, bytes + end + 1, ConnectionID.ownCount) == 0
    {
      end += size
    }
    return min(end, packets.count)
  }

  public func pathReceived(_ packet: UnsafeRawBufferPointer, ecn: UInt32, _ route: DatagramRoute) {
    guard let bytes = packet.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
    var header = ngtcp2_version_cid()
    let status = ngtcp2_pkt_decode_version_cid(&header, bytes, packet.count, ConnectionID.ownCount)
    if status == NGTCP2_ERR_VERSION_NEGOTIATION { return negotiateVersion(packet, header, route) }
    guard status == 0, let id = ConnectionID(UnsafeRawBufferPointer(start: header.dcid, count: header.dcidlen)) else {
      return
    }
    if let latest, latest.id == id { return latest.connection.pathReceived(packet, ecn: ecn, route) }
    if let connection = connections[id] {
      latest = (id, connection)
      return connection.pathReceived(packet, ecn: ecn, route)
    }
    if header.version == 0 { return resetStatelessly(packet, header, route) }
    admit(packet, ecn, route)
  }

  public func pathCanSend() {
    for id in open.values.compactMap(\.first) { connections[id]?.schedule() }
  }

  public func pathFailed(_ failure: Failure) {
    // An ICMP message for one of many clients; which one is not known, and its connection will find out.
    Log.debug("quic", "\(address): \(failure.message)")
  }

  private func admit(_ packet: UnsafeRawBufferPointer, _ ecn: UInt32, _ route: DatagramRoute) {
    guard let choose, let accept, let bytes = packet.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
    var header = ngtcp2_pkt_hd()
    // Smaller packets could make this port an amplifier, and ngtcp2 would answer small 0-RTT packets.
    guard packet.count >= Int(NGTCP2_MAX_UDP_PAYLOAD_SIZE) else { return }
    let status = ngtcp2_accept(&header, bytes, packet.count)
    if status == NGTCP2_ERR_RETRY { return sendRetry(header, route) }
    guard status == 0 else { return }
    let verdict = validator.verify(header, route)
    switch verdict {
    case .invalid: return refuse(header, UInt64(NGTCP2_INVALID_TOKEN), route)
    case .absent:
      rstream_quic_header_clear_token(&header)
      if wantsValidation { return sendRetry(header, route) }
    case .returning, .retried: break
    }
    guard handshakes < limits.handshakes, open.count < limits.connections else {
      return refuse(header, UInt64(NGTCP2_CONNECTION_REFUSED), route)
    }
    let remote = SocketAddress(UnsafePointer(route.remote))
    do throws(Failure) {
      let connection = try QUICConnection(
        server: self, header, original: verdict.original, route, settings, choose: { choose($0, remote) })
      handshakes += 1
      accept(connection)
      connection.pathReceived(packet, ecn: ecn, route)
    } catch {
      Log.warn("quic", error.message)
    }
  }

  private var wantsValidation: Bool {
    switch limits.validation {
    case .never: false
    case .above(let count): handshakes > count
    case .always: true
    }
  }

  // MARK: Answers without a connection

  private func send(_ capacity: Int, _ route: DatagramRoute, _ write: (UnsafeMutablePointer<UInt8>) -> Int) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: capacity) { room in
      guard let start = room.baseAddress else { return }
      let count = write(start)
      guard count > 0 else { return }
      _ = socket.send(UnsafeRawBufferPointer(start: start, count: count), size: count, ecn: 0, route)
    }
  }

  private func negotiateVersion(
    _ packet: UnsafeRawBufferPointer, _ header: ngtcp2_version_cid, _ route: DatagramRoute
  ) {
    // Smaller packets could make this port an amplifier.
    guard choose != nil, packet.count >= Int(NGTCP2_MAX_UDP_PAYLOAD_SIZE) else { return }
    var random: UInt8 = 0
    withUnsafeMutableBytes(of: &random) { QUICRandom.fill($0) }
    let versions: [UInt32] = [0x0000_0001, 0x1A2A_3A4A]
    send(1200, route) { room in
      ngtcp2_pkt_write_version_negotiation(
        room, 1200, random, header.scid, header.scidlen, header.dcid, header.dcidlen, versions, versions.count)
    }
  }

  private func sendRetry(_ header: ngtcp2_pkt_hd, _ route: DatagramRoute) {
    var header = header
    var own = ngtcp2_cid()
    QUICConnection.fill(&own, ConnectionID.ownCount)
    let token = validator.retryToken(header, own, route)
    guard !token.isEmpty else { return }
    send(1200, route) { room in
      ngtcp2_crypto_write_retry(
        room, 1200, header.version, &header.scid, &own, &header.dcid, token, token.count)
    }
  }

  /// A connection whose first packets ask for more than an unproven address gets.
  func sendRetry(for connection: QUICConnection, _ route: DatagramRoute) {
    guard let raw = connection.raw, let id = ngtcp2_conn_get_client_initial_dcid(raw),
      let peer = ngtcp2_conn_get_dcid(raw)
    else { return }
    var header = ngtcp2_pkt_hd()
    header.version = ngtcp2_conn_get_client_chosen_version(raw)
    header.dcid = id.pointee
    header.scid = peer.pointee
    sendRetry(header, route)
  }

  private func refuse(_ header: ngtcp2_pkt_hd, _ code: UInt64, _ route: DatagramRoute) {
    var header = header
    send(1200, route) { room in
      ngtcp2_crypto_write_connection_close(room, 1200, header.version, &header.scid, &header.dcid, code, nil, 0)
    }
  }

  /// Tells the peer of a connection that is not known here any more, a thousand times a second at most.
  private func resetStatelessly(
    _ packet: UnsafeRawBufferPointer, _ header: ngtcp2_version_cid, _ route: DatagramRoute
  ) {
    let now = rstream_quic_now()
    // Shorter than what it answers, so that two such peers do not go on for ever.
    let size = min(packet.count - 1, 64)
    guard !isClosed || !open.isEmpty, now &- lastReset > 1_000_000, size >= 41 else { return }
    lastReset = now
    var id = ngtcp2_cid()
    ngtcp2_cid_init(&id, header.dcid, header.dcidlen)
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 64 + Int(NGTCP2_STATELESS_RESET_TOKENLEN)) { memory in
      guard let random = memory.baseAddress else { return }
      let count = size - Int(NGTCP2_STATELESS_RESET_TOKENLEN) - 1
      QUICRandom.fill(UnsafeMutableRawBufferPointer(start: random, count: count))
      let token = random + 64
      validator.writeResetToken(for: id, token)
      send(64, route) { room in ngtcp2_pkt_write_stateless_reset(room, size, token, random, count) }
    }
  }
}

extension ConnectionID {
  init?(_ id: ngtcp2_cid) {
    guard
      let own = withUnsafeBytes(of: id.data, { ConnectionID(UnsafeRawBufferPointer(rebasing: $0.prefix(id.datalen))) })
    else { return nil }
    self = own
  }
}
