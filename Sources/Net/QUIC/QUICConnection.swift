// SPDX-License-Identifier: Apache-2.0
import CQUIC
import CUV
import Glibc

/// What a QUIC connection tells. Called on the loop's thread, never from inside a call to the connection.
public protocol QUICConnectionDelegate: AnyObject {
  /// The handshake is done.
  func connectionOpened(_ connection: QUICConnection)
  /// The peer has opened a stream, which does not read until it is told to.
  func connection(_ connection: QUICConnection, opened stream: QUICStream)
  /// The bytes are borrowed for the call.
  func connection(_ connection: QUICConnection, received datagram: UnsafeRawBufferPointer)
  /// The connection is over, and its streams have failed. Nothing else is called after this.
  func connection(_ connection: QUICConnection, ended failure: Failure)
}

/// A QUIC connection (RFC 9000): streams and datagrams over packets that a `DatagramPath` carries.
public final class QUICConnection: Deferred, DatagramReceiver {
  enum State { case handshaking, open, closing, ended }

  /// Told to the peer of a connection that is ended without a failure.
  public static let closeReason = "transport closed"
  /// How long `finish` waits for what is queued, in milliseconds.
  static let finishTimeout: UInt64 = 10_000
  /// A closed connection answers late packets for no longer than this, in milliseconds.
  static let lingerLimit: UInt64 = 1_000

  public let loop: Loop
  public private(set) var settings: QUICSettings
  public let isServer: Bool
  public var delegate: (any QUICConnectionDelegate)?
  /// Kept as long as the connection.
  public var attachment: AnyObject?

  let tls: QUICTLSSession
  let path: any DatagramPath
  /// The server's; it hands the packets out and keeps the path open.
  private(set) var listener: QUICListener?
  private(set) var state = State.handshaking
  private(set) var raw: OpaquePointer?
  /// In calls into ngtcp2 that must not be nested.
  var depth = 0

  // Streams.
  var streams: [QUICStream?] = []
  var freeSlots: [Int] = []
  var pending = StreamQueue()
  var drained: [QUICStream] = []
  var stopped: [QUICStream] = []
  var blockedStreams = 0
  var openings: [QUICStreamOpening] = []
  /// Told when the peer allows more streams than it did.
  public var onStreamCredit: (() -> Void)?
  var stops: [StopSending] = []
  /// Ended with the connection; ngtcp2 may look at their memory until it is gone itself.
  var retired: [QUICStream] = []
  var keptUnidirectional = 0
  var heldBytes = 0
  var withheldCredit = 0

  // Datagrams.
  private(set) var packetChannels: DatagramChannels?
  var datagrams: DatagramQueue

  // Writing.
  var prefersDatagram = false
  /// Called when datagrams have left, or were dropped, while `isCrowded`, and it is not so any more.
  var onDatagramRoom: (() -> Void)?
  var wasCrowded = false
  let routes: UnsafeMutablePointer<ngtcp2_path_storage>
  private var isScheduled = false
  private var timer: LoopTimer?
  private var timerDeadline = UInt64.max
  private var refusals = 0

  // Ending.
  private var requestedEnd: (() -> Void)?
  private(set) var isFinishing = false
  private var waitsForStreams = false
  private var lastWord: QUICClose?
  private var finishTimer: LoopTimer?
  private var closePacket: [UInt8] = []
  private var lateCount = 0
  private var lateThreshold = 1
  private var lingerTimer: LoopTimer?
  /// How the peer has closed the connection, if it has.
  public private(set) var closeOfPeer: QUICClose?
  private(set) var wasResetStatelessly = false
  private var qlog: QLogFile?
  let description: String
  /// A token for the next connection to the same server, once the server has sent one.
  public internal(set) var token: [UInt8] = []

  // MARK: Making

  /// A client's connection to the peer of a connected path; the handshake begins at once.
  /// - Parameters:
  ///   - serverName: sent as SNI and verified; an IP literal is verified but not sent
  ///   - local, remote: the ends of the path
  ///   - token: from an earlier connection to the same server
  public init(
    client credentials: QUICCredentials, over path: any DatagramPath, local: SocketAddress, remote: SocketAddress,
    serverName: String, alpn: [String], _ loop: Loop, _ settings: QUICSettings = QUICSettings(), token: [UInt8] = []
  ) throws(Failure) {
    self.loop = loop
    self.settings = settings
    self.path = path
    isServer = false
    description = "QUIC connection to \(serverName)"
    datagrams = DatagramQueue(limit: settings.datagramQueue)
    routes = Self.makeRoutes()
    tls = try QUICTLSSession(
      client: credentials, serverName: serverName, alpn: alpn, keyLogFile: settings.keyLogFile)
    var (own, peer) = (ngtcp2_cid(), ngtcp2_cid())
    Self.fill(&own, ConnectionID.ownCount)
    Self.fill(&peer, 18)
    qlog = settings.qlogDirectory.flatMap { QLogFile(directory: $0, peer, "client") }
    var ngtcp2Settings = settings.ngtcp2(path)
    if qlog != nil { QLogFile.enable(&ngtcp2Settings, peer) }
    var parameters = settings.parameters(isServer: false)
    var callbacks = QUICCallbacks.table
    var connection: OpaquePointer?
    let user = Unmanaged.passUnretained(self).toOpaque()
    let status: Int32? = token.withUnsafeBufferPointer { bytes in
      rstream_quic_settings_token(&ngtcp2Settings, bytes.isEmpty ? nil : bytes.baseAddress, bytes.count, 0)
      return local.withSockaddr { local, localLength in
        remote.withSockaddr { remote, remoteLength in
          var route = ngtcp2_path(
            DatagramRoute(
              local: UnsafeMutablePointer(mutating: local), localLength, remote: UnsafeMutablePointer(mutating: remote),
              remoteLength))
          return ngtcp2_conn_client_new_versioned(
            &connection, &peer, &own, &route, UInt32(0x0000_0001), NGTCP2_CALLBACKS_VERSION, &callbacks,
            NGTCP2_SETTINGS_VERSION, &ngtcp2Settings, NGTCP2_TRANSPORT_PARAMS_VERSION, &parameters, nil, user)
        }
      } ?? nil
    }
    guard status == 0, let connection else {
      throw Self.failure(status ?? NGTCP2_ERR_INTERNAL, "make a \(description)")
    }
    begin(connection)
    path.receiver = self
    schedule()
  }

  /// A server's connection for a client's first packet, which is yet to be handed over with `pathReceived`.
  init(
    server listener: QUICListener, _ header: ngtcp2_pkt_hd, original: ngtcp2_cid?, _ route: DatagramRoute,
    _ settings: QUICSettings, choose: @escaping (ClientHello) -> QUICServerChoice
  ) throws(Failure) {
    loop = listener.loop
    self.settings = settings
    self.listener = listener
    path = listener.socket
    isServer = true
    description = "QUIC connection of \(SocketAddress(route.remote)?.description ?? "a client")"
    datagrams = DatagramQueue(limit: settings.datagramQueue)
    routes = Self.makeRoutes()
    tls = try QUICTLSSession(server: choose, keyLogFile: settings.keyLogFile)
    var header = header
    var own = ngtcp2_cid()
    Self.fill(&own, ConnectionID.ownCount)
    var first = original ?? header.dcid
    qlog = settings.qlogDirectory.flatMap { QLogFile(directory: $0, first, "server") }
    var ngtcp2Settings = settings.ngtcp2(path)
    if qlog != nil { QLogFile.enable(&ngtcp2Settings, first) }
    var parameters = settings.parameters(isServer: true)
    rstream_quic_parameters_original(&parameters, &first)
    if original != nil {
      parameters.retry_scid = header.dcid
      parameters.retry_scid_present = 1
    }
    // Only tokens that were verified are left in the header.
    let token = rstream_quic_header_token(&header)
    rstream_quic_settings_token(&ngtcp2Settings, token.base, token.len, original == nil ? 0 : 1)
    listener.writeResetToken(for: own, &parameters.stateless_reset_token)
    parameters.stateless_reset_token_present = 1
    var callbacks = QUICCallbacks.table
    var connection: OpaquePointer?
    var ngtcp2Route = ngtcp2_path(route)
    let status = ngtcp2_conn_server_new_versioned(
      &connection, &header.scid, &own, &ngtcp2Route, header.version, NGTCP2_CALLBACKS_VERSION, &callbacks,
      NGTCP2_SETTINGS_VERSION, &ngtcp2Settings, NGTCP2_TRANSPORT_PARAMS_VERSION, &parameters, nil,
      Unmanaged.passUnretained(self).toOpaque())
    guard status == 0, let connection else { throw Self.failure(status, "make a \(description)") }
    begin(connection)
    tls.onSettings = { [weak self] settings in self?.adopt(settings) }
    listener.add(own, self)
    listener.add(header.dcid, self)
  }

  private func begin(_ connection: OpaquePointer) {
    raw = connection
    tls.use(connection)
    timer = LoopTimer(loop) { [self] in expired() }
  }

  deinit {
    if let raw { ngtcp2_conn_del(raw) }
    routes.deallocate()
    datagrams.removeAll()
  }

  private static func makeRoutes() -> UnsafeMutablePointer<ngtcp2_path_storage> {
    let routes = UnsafeMutablePointer<ngtcp2_path_storage>.allocate(capacity: 2)
    ngtcp2_path_storage_zero(routes)
    ngtcp2_path_storage_zero(routes + 1)
    return routes
  }

  static func fill(_ id: inout ngtcp2_cid, _ count: Int) {
    id.datalen = count
    withUnsafeMutableBytes(of: &id.data) { QUICRandom.fill(UnsafeMutableRawBufferPointer(rebasing: $0.prefix(count))) }
  }

  static func failure(_ status: Int32, _ attempt: String) -> Failure {
    let words = ngtcp2_strerror(status).map { String(cString: $0) } ?? "error \(status)"
    return Failure(ErrorCode.protocolViolation, "\(attempt): \(words)")
  }

  /// The packet channels that travel as this connection's datagrams. Who gets its datagrams hands them on to these.
  public var datagramChannels: DatagramChannels {
    if let packetChannels { return packetChannels }
    let made = DatagramChannels(self)
    if !isEnded { packetChannels = made }
    return made
  }

  // MARK: Asking

  public var isOpen: Bool { state == .open }
  public var isEnded: Bool { state == .closing || state == .ended }
  public var negotiatedProtocol: String { tls.negotiatedProtocol }
  public var peerCertificate: PeerCertificate { tls.peerCertificate }
  public var sessionDescription: String { tls.sessionDescription }
  public var peerCertificateDays: Int32? { tls.peerCertificateDays }
  /// What the client asked for, on a server's connection.
  public var clientHello: ClientHello? { tls.clientHello }

  /// Where the peer was last heard from.
  public var peer: SocketAddress? {
    guard let raw, let path = ngtcp2_conn_get_path(raw), let address = path.pointee.remote.addr else { return nil }
    return SocketAddress(UnsafePointer(address))
  }

  // MARK: Packets

  public func pathReceived(_ packet: UnsafeRawBufferPointer, ecn: UInt32, _ route: DatagramRoute) {
    pathReceived(packet, size: packet.count, ecn: ecn, route)
  }

  public func pathReceived(_ packets: UnsafeRawBufferPointer, size: Int, ecn: UInt32, _ route: DatagramRoute) {
    guard size > 0, let first = packets.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
    refusals = 0
    let now = rstream_quic_now()
    for start in stride(from: 0, to: packets.count, by: size) {
      guard let raw, state == .handshaking || state == .open else {
        if state == .closing { answerLate() }
        continue
      }
      read(raw, first + start, min(size, packets.count - start), ecn, route, now)
    }
    schedule()
  }

  private func read(
    _ raw: OpaquePointer, _ packet: UnsafePointer<UInt8>, _ count: Int, _ ecn: UInt32, _ route: DatagramRoute,
    _ now: UInt64
  ) {
    var info = ngtcp2_pkt_info(ecn: .init(truncatingIfNeeded: ecn))
    // A client's path has one route, whatever its socket is bound to meanwhile.
    var ngtcp2Route = isServer ? ngtcp2_path(route) : ngtcp2_conn_get_path(raw)?.pointee ?? ngtcp2_path(route)
    depth += 1
    let tellsStops = settings.tellsStops
    let outer = tellsStops ? beginReading() : nil
    let status = ngtcp2_conn_read_pkt_versioned(
      raw, &ngtcp2Route, NGTCP2_PKT_INFO_VERSION, &info, packet, count, now)
    depth -= 1
    if tellsStops { endReading(outer) }
    if status != 0 { readFailed(status, route) }
    finishCall()
  }

  public func pathCanSend() { schedule() }

  /// What an ICMP message says may be wrong, and is believed during the handshake only: an open connection gives the peer
  /// some time to come back.
  public func pathFailed(_ failure: Failure) {
    switch state {
    case .handshaking where !isServer:
      end(failure.during(description))
    case .open:
      refusals += 1
      guard refusals >= 3 else { return }
      end(Failure(failure.code, "\(description): lost: \(failure.message)"))
    default: break
    }
  }

  public func pathEnded(_ failure: Failure) {
    switch state {
    case .handshaking, .open: end(Failure(failure.code, "\(description): lost: \(failure.message)"))
    case .closing: release()
    case .ended: break
    }
  }

  private func readFailed(_ status: Int32, _ route: DatagramRoute) {
    switch status {
    case NGTCP2_ERR_DRAINING:
      closeOfPeer = readClose()
      end(failureOfPeer())
    case NGTCP2_ERR_RETRY:
      listener?.sendRetry(for: self, route)
      end(Failure(UV_ECONNRESET.rawValue, "\(description): its address is to be validated"))
    case NGTCP2_ERR_DROP_CONN:
      end(Failure(UV_ECONNRESET.rawValue, "\(description): dropped"))
    case NGTCP2_ERR_RECV_VERSION_NEGOTIATION:
      end(Failure(ErrorCode.protocolViolation, "\(description): the server does not speak QUIC version 1"))
    default:
      close(after: status)
    }
  }

  /// An error of the connection, found by this side: the peer is told.
  func close(after status: Int32) {
    guard let raw else { return }
    var reason = rstream_quic_reason()
    let failure: Failure
    if status == NGTCP2_ERR_CRYPTO {
      let alert = tls.ownAlert ?? ngtcp2_conn_get_tls_alert(raw)
      rstream_quic_reason_alert(&reason, alert)
      failure = handshakeFailure(alert)
    } else {
      rstream_quic_reason_error(&reason, status)
      failure = Self.failure(status, description)
    }
    sendClose(&reason)
    end(failure)
  }

  func writeQLog(_ bytes: UnsafeRawBufferPointer) { qlog?.write(bytes) }

  func statelessReset() { wasResetStatelessly = true }

  /// Goes on under settings that were chosen for this client, which has not been told the others yet.
  private func adopt(_ chosen: QUICSettings) {
    guard let raw, let parameters = ngtcp2_conn_get_local_transport_params(raw) else { return }
    settings = chosen
    var changed = parameters.pointee
    chosen.fill(&changed, isServer: true)
    ngtcp2_conn_set_local_transport_params_versioned(raw, NGTCP2_TRANSPORT_PARAMS_VERSION, &changed)
  }

  /// The smaller one of both ends', in milliseconds (RFC 9000, section 10.1).
  private var idleTimeout: UInt64 {
    guard let raw, let peer = ngtcp2_conn_get_remote_transport_params(raw) else { return settings.idleTimeout }
    let theirs = peer.pointee.max_idle_timeout / 1_000_000
    return theirs == 0 ? settings.idleTimeout : min(theirs, settings.idleTimeout)
  }

  /// The handshake is done.
  func opened() {
    guard state == .handshaking else { return }
    state = .open
    listener?.opened(self)
    if let raw, settings.keepAlive > 0 {
      // Early enough for two of them to be lost.
      ngtcp2_conn_set_keep_alive_timeout(raw, min(settings.keepAlive, max(idleTimeout / 3, 100)) &* 1_000_000)
    }
    delegate?.connectionOpened(self)
  }

  // MARK: Time

  /// Has what there is to send sent in the loop's next iteration, all together.
  func schedule() {
    guard !isScheduled, state == .handshaking || state == .open else { return }
    isScheduled = true
    loop.defer(self)
  }

  public func runDeferred() {
    isScheduled = false
    flush()
  }

  func flush() {
    guard depth == 0 else { return }
    loop.gathering.deliver()
    guard let raw, state == .handshaking || state == .open else { return }
    let failure = writePackets(raw)
    tellWriters()
    if failure != 0 {
      if state == .handshaking || state == .open {
        if failure <= -200 { close(after: failure) } else { pathFailed(.uv(failure, "send")) }
      }
    }
    finishCall()
    if isFinishing { closeWhenFinished() }
    setTimer()
  }

  private func setTimer() {
    guard let raw, state == .handshaking || state == .open else { return }
    let now = rstream_quic_now()
    var expiry = ngtcp2_conn_get_expiry(raw)
    if blockedStreams > 0 { expiry = min(expiry, now &+ 1_000_000_000) }
    guard expiry != UInt64.max else { return }
    let delay = expiry > now ? (expiry - now &+ 999_999) / 1_000_000 : 0
    let deadline = now / 1_000_000 &+ delay
    // A timer that is too early looks again; setting it anew for every packet would cost more.
    guard deadline < timerDeadline else { return }
    timerDeadline = deadline
    timer?.start(after: delay)
  }

  private func expired() {
    timerDeadline = .max
    guard let raw, state == .handshaking || state == .open else { return }
    retryBlocked()
    let now = rstream_quic_now()
    if ngtcp2_conn_get_expiry(raw) <= now {
      depth += 1
      let status = ngtcp2_conn_handle_expiry(raw, now)
      depth -= 1
      switch status {
      case 0: break
      case NGTCP2_ERR_IDLE_CLOSE:
        return end(
          Failure(UV_ETIMEDOUT.rawValue, "\(description): nothing was heard for \(idleTimeout) ms"))
      case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
        return end(Failure(UV_ETIMEDOUT.rawValue, "\(description): no answer"))
      default:
        return close(after: status)
      }
    }
    flush()
  }

  // MARK: Ending

  /// Ends the connection at once; its streams fail. The delegate hears nothing more.
  public func close(_ word: QUICClose = QUICClose()) {
    delegate = nil
    requestEnd(word)
  }

  private func requestEnd(_ word: QUICClose) {
    guard state == .handshaking || state == .open, requestedEnd == nil else { return }
    requestedEnd = { [self] in
      word.withReason { sendClose(&$0) }
      end(Failure(UV_ECANCELED.rawValue, "\(description): closed"))
    }
    loop.later { [self] in finishCall() }
  }

  /// Takes no more streams, and ends the connection once its streams have been closed and the peer has received what they
  /// had queued. The delegate is told the end.
  public func drain() {
    guard !isFinishing, state == .handshaking || state == .open else { return }
    isFinishing = true
    waitsForStreams = true
    loop.later { [self] in closeWhenFinished() }
  }

  /// Ends the connection once the peer has received what its closed streams had queued, or after some time. Streams that are
  /// open do not count, and the delegate hears nothing more.
  public func finish() {
    guard finishTimer == nil, state == .handshaking || state == .open else { return }
    isFinishing = true
    waitsForStreams = false
    delegate = nil
    finishTimer = LoopTimer(loop, after: Self.finishTimeout) { [self] in close() }
    loop.later { [self] in closeWhenFinished() }
  }

  /// Ends the connection with this word once the peer has received what all its streams had queued, open ones too, or after
  /// some time. The delegate is told the end.
  public func finish(with word: QUICClose, within milliseconds: UInt64) {
    guard finishTimer == nil, state == .handshaking || state == .open else { return }
    isFinishing = true
    lastWord = word
    finishTimer = LoopTimer(loop, after: milliseconds) { [self] in requestEnd(word) }
    loop.later { [self] in closeWhenFinished() }
  }

  func closeWhenFinished() {
    guard isFinishing, !isEnded else { return }
    let isDone = streams.allSatisfy { stream in
      guard let stream else { return true }
      if lastWord != nil { return stream.hasArrived }
      return stream.isClosed ? stream.isFlushed : !waitsForStreams
    }
    if isDone { requestEnd(lastWord ?? QUICClose()) }
  }

  /// What had to wait until no call into ngtcp2 is under way.
  private func finishCall() {
    guard depth == 0, let end = requestedEnd else { return }
    requestedEnd = nil
    if !isEnded { end() }
  }

  private func sendClose(_ reason: inout rstream_quic_reason) {
    guard let raw, rstream_quic_is_closed(raw) == 0 else { return }
    var packet = [UInt8](repeating: 0, count: 1200)
    var info = ngtcp2_pkt_info()
    let written = packet.withUnsafeMutableBufferPointer { bytes in
      ngtcp2_conn_write_connection_close_versioned(
        raw, &routes.pointee.path, NGTCP2_PKT_INFO_VERSION, &info, bytes.baseAddress, bytes.count, &reason,
        rstream_quic_now())
    }
    guard written > 0 else { return }
    closePacket = Array(packet.prefix(written))
    sendClosePacket()
  }

  private func sendClosePacket() {
    closePacket.withUnsafeBytes { _ = path.send($0, size: $0.count, ecn: 0, DatagramRoute(routes.pointee.path)) }
  }

  /// Packets that come after the end are answered with it, ever more rarely (RFC 9000, section 10.2.1).
  private func answerLate() {
    lateCount += 1
    guard lateCount >= lateThreshold, !closePacket.isEmpty else { return }
    lateThreshold *= 2
    lateCount = 0
    sendClosePacket()
  }

  private func end(_ failure: Failure) {
    guard state == .handshaking || state == .open else { return }
    loop.gathering.deliver()
    let wasHandshaking = state == .handshaking
    state = .closing
    Log.debug("quic", failure.message)
    let listener = delegate
    delegate = nil
    requestedEnd = nil
    timer?.close()
    timer = nil
    finishTimer?.close()
    finishTimer = nil
    if wasHandshaking { self.listener?.handshakeEnded(self) }
    failStreams(failure)
    packetChannels?.connectionEnded(failure)
    packetChannels = nil
    onDatagramRoom = nil
    onStreamCredit = nil
    listener?.connection(self, ended: failure)
    linger(wasHandshaking)
  }

  /// Stays for a while to answer what was under way, when the peer was told.
  private func linger(_ wasHandshaking: Bool) {
    guard let raw, !closePacket.isEmpty, !wasHandshaking || isServer else { return release() }
    let wait = min(3 * ngtcp2_conn_get_pto(raw) / 1_000_000, Self.lingerLimit)
    lingerTimer = LoopTimer(loop, after: max(wait, 10)) { [self] in release() }
  }

  private func release() {
    guard state != .ended else { return }
    state = .ended
    lingerTimer?.close()
    lingerTimer = nil
    closePacket = []
    if let listener {
      listener.remove(self)
      self.listener = nil
    } else {
      path.close()
    }
    // The memory goes outside of whatever is running now.
    loop.later { [self] in
      guard let raw else { return }
      self.raw = nil
      ngtcp2_conn_del(raw)
      retired = []
    }
  }
}
