// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// DTLS 1.2 over another packet channel: each packet is one record.
public final class DTLSChannel: PacketChannel, PacketChannelDelegate {
  /// By the name a client asks for, whether it offers protocols, and its address.
  public typealias Choose = (_ name: String?, _ offersProtocols: Bool, _ peer: SocketAddress?) -> Choice

  public enum Choice {
    case served(TLSContext)
    /// With a fatal alert (RFC 5246, section 7.2), by its number.
    case refused(UInt8)
  }

  /// A record's plaintext.
  private static let maximumRecord = 16_384
  /// Handshake messages are divided into datagrams of this size, which pass everywhere.
  static let mtu = 1_200
  /// What servers offer: with other suites a single record in a client's name could end its association.
  public static let ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AESCCM"
  /// What clients offer: whatever OpenSSL has for certificates, with the suites of small devices, which are not among its
  /// defaults.
  public static let clientCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AESCCM:ALL:!aNULL:!PSK:!SRP:!DSS"

  private let lower: PacketChannel
  private let io: UnsafeMutablePointer<rstream_dtls_io>
  private var ssl: OpaquePointer?
  private var context: TLSContext?
  private let choose: Choose?
  private var isOpen = false
  /// Whether nothing more is sent or received, though what has arrived may still wait to be delivered.
  private var isOver = false
  /// What an encrypted record is longer than its content.
  private var overhead = 0
  private var onHandshake: ((Failure?) -> Void)?
  private var timer: LoopTimer?
  private let deadline: LoopTimer?
  /// Nesting of calls into OpenSSL: the connection is freed when the outermost returns.
  private var depth = 0

  /// Starts a client's handshake. The deadline, in milliseconds, is for the handshake.
  public init(
    client context: TLSContext, over lower: PacketChannel, serverName: String, deadline milliseconds: UInt64,
    _ onHandshake: @escaping (Failure?) -> Void
  ) throws(Failure) {
    io = .allocate(capacity: 1)
    io.initialize(to: rstream_dtls_io())
    io.pointee.mtu = Self.mtu
    guard let ssl = rstream_dtls_new(context.raw, io) else {
      io.deallocate()
      throw TLSContext.failure("make a DTLS connection")
    }
    self.ssl = ssl
    self.context = context
    self.lower = lower
    self.onHandshake = onHandshake
    choose = nil
    SSL_set_connect_state(ssl)
    if !serverName.isEmpty { rstream_tls_set_host_name(ssl, serverName) }
    if !context.alpnOffer.isEmpty { SSL_set_alpn_protos(ssl, context.alpnOffer, UInt32(context.alpnOffer.count)) }
    let late = LateCall()
    deadline = LoopTimer(lower.loop, after: milliseconds) { late.call?() }
    super.init(lower.loop)
    begin(late)
    proceed()
  }

  /// Goes on with a client that has shown its cookie to `ssl`, which is taken over with its `io`.
  init(
    _ ssl: OpaquePointer, _ io: UnsafeMutablePointer<rstream_dtls_io>, over lower: PacketChannel,
    deadline milliseconds: UInt64, choose: @escaping Choose
  ) {
    self.ssl = ssl
    self.io = io
    self.lower = lower
    self.choose = choose
    // OpenSSL keeps the hello that it has looked at: the connection must not be set up anew.
    let late = LateCall()
    deadline = LoopTimer(lower.loop, after: milliseconds) { late.call?() }
    super.init(lower.loop)
    begin(late)
  }

  deinit {
    if let ssl { SSL_free(ssl) }
    io.deallocate()
  }

  /// Does the handshake; called once for a server's channel.
  func accept(_ onHandshake: @escaping (Failure?) -> Void) {
    self.onHandshake = onHandshake
    proceed()
  }

  private func begin(_ late: LateCall) {
    guard let ssl else { return }
    late.call = { [weak self] in
      self?.fail(Failure(ErrorCode.operationTimeout, "DTLS handshake: it took too long"))
    }
    rstream_tls_set_owner(ssl, Unmanaged.passUnretained(self).toOpaque())
    io.pointee.owner = Unmanaged.passUnretained(self).toOpaque()
    io.pointee.output = { owner, bytes, count in
      guard let owner else { return }
      Unmanaged<DTLSChannel>.fromOpaque(owner).takeUnretainedValue().lower.send(
        UnsafeRawBufferPointer(start: bytes, count: count))
    }
    timer = LoopTimer(loop) { [weak self] in self?.timedOut() }
    lower.delegate = self
    lower.readStart()
  }

  // MARK: What the handshake agreed on

  /// The application protocol, "" when none was negotiated.
  public var negotiatedProtocol: String { ssl.map { TLSContext.negotiatedProtocol(of: $0) } ?? "" }

  /// The name that a client has asked for.
  public private(set) var serverName: String?

  fileprivate func choose(
    _ name: String?, offersProtocols: Bool, _ alert: UnsafeMutablePointer<Int32>?
  ) -> OpaquePointer? {
    switch choose?(name, offersProtocols, lower.peer) {
    case .served(let chosen):
      context = chosen
      serverName = name
      return chosen.raw
    case .refused(let number):
      alert?.pointee = Int32(number)
      return nil
    case nil: return nil
    }
  }

  // MARK: PacketChannel

  public override var path: Path { .dtls }
  public override var maximumSize: Int { Self.maximumRecord }
  public override var queuedPackets: Int { lower.queuedPackets }
  public override var isFull: Bool { lower.isFull }
  public override var peer: SocketAddress? { lower.peer }

  public override func cork() { lower.cork() }
  public override func uncork() { lower.uncork() }

  override func transmit(_ packet: UnsafeRawBufferPointer) -> PacketOutcome {
    guard isOpen, let ssl else { return .closed }
    guard !lower.isFull else { return .full }
    // OpenSSL writes no empty records.
    guard packet.count > 0 else { return .tooLarge }
    let dropped = lower.counters.droppedSending
    depth += 1
    ERR_clear_error()
    let written = SSL_write(ssl, packet.baseAddress, Int32(packet.count))
    if written <= 0 { rstream_tls_take_error() }
    leave()
    return written > 0 && lower.counters.droppedSending == dropped ? .taken : .full
  }

  override func readingChanged() {
    // What can wait where it is waits there; datagrams come whether they are read or not.
    guard isOpen, lower.path == .stream else { return }
    if isReading { lower.readStart() } else { lower.readStop() }
  }

  public override func close() {
    guard !isClosed else { return }
    shutDown()
    end()
    lower.close()
  }

  /// Sends close_notify.
  private func shutDown() {
    guard isOpen, let ssl else { return }
    depth += 1
    SSL_shutdown(ssl)
    rstream_tls_take_error()
    depth -= 1
  }

  // MARK: Records

  /// The handshake's next step, and what has arrived.
  private func proceed() {
    guard let ssl, !isOver else { return }
    depth += 1
    ERR_clear_error()
    if !isOpen { handshake(ssl) }
    if isOpen { read(ssl) }
    leave()
  }

  private func handshake(_ ssl: OpaquePointer) {
    let result = SSL_do_handshake(ssl)
    if result == 1 {
      isOpen = true
      overhead = rstream_dtls_overhead(ssl)
      timer?.stop()
      deadline?.close()
      let report = onHandshake
      onHandshake = nil
      report?(nil)
      return
    }
    guard SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ else {
      return fail(TLSContext.failure("DTLS handshake"))
    }
    schedule(ssl)
  }

  private func read(_ ssl: OpaquePointer) {
    let scratch = loop.takeScratch()
    defer { loop.giveBackScratch(scratch) }
    while !isOver {
      let count = SSL_read(ssl, scratch.baseAddress, Int32(Self.maximumRecord + 1024))
      if count > 0 {
        deliver(UnsafeRawBufferPointer(rebasing: scratch[..<Int(count)]))
        continue
      }
      switch SSL_get_error(ssl, count) {
      case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: break
      case SSL_ERROR_ZERO_RETURN: return ended()
      default:
        // What is no record of this connection is dropped by OpenSSL itself; this is an alert.
        return fail(TLSContext.failure("DTLS connection"))
      }
      break
    }
  }

  /// The peer has ended the association: its packets that wait here are still delivered, and counted for as long.
  private func ended() {
    guard isOpen, !isClosed else { return }
    shutDown()
    let place = lower.attachment
    leaveBehind()
    lower.close()
    sourceEnded(nil)
    if !isClosed { attachment = place }
  }

  /// Whether the handshake is done and the channel open.
  var isEstablished: Bool { isOpen }

  /// Another association has taken this one's place.
  func isReplaced() { if isOpen { ended() } else { close() } }

  private func schedule(_ ssl: OpaquePointer) {
    let wait = rstream_dtls_timeout(ssl)
    if wait >= 0 { timer?.start(after: UInt64(max(1, wait))) } else { timer?.stop() }
  }

  private func timedOut() {
    guard let ssl, !isOpen, !isOver else { return }
    depth += 1
    if rstream_dtls_handle_timeout(ssl) < 0 {
      fail(Failure(ErrorCode.operationTimeout, "DTLS handshake: the peer does not answer"))
    } else {
      schedule(ssl)
    }
    leave()
  }

  // MARK: The channel below

  public func packetChannel(_ channel: PacketChannel, received packet: UnsafeRawBufferPointer) {
    guard let ssl, !isOver else { return }
    let count = DTLSRecords.sound(packet, overhead: isOpen ? overhead : rstream_dtls_overhead(ssl))
    guard count > 0 else { return }
    io.pointee.input = packet.baseAddress?.assumingMemoryBound(to: UInt8.self)
    io.pointee.input_length = count
    proceed()
    io.pointee.input = nil
    io.pointee.input_length = 0
  }

  public func packetChannelPaused(_ channel: PacketChannel) { delegate?.packetChannelPaused(self) }

  public func packetChannelDrained(_ channel: PacketChannel) { delegate?.packetChannelDrained(self) }

  public func packetChannelEnded(_ channel: PacketChannel) {
    if isOpen {
      ended()
    } else {
      fail(Failure(ErrorCode.tls, "DTLS handshake: the peer closed the channel"))
    }
  }

  public func packetChannel(_ channel: PacketChannel, failed failure: Failure) { fail(failure) }

  // MARK: Ending

  private func fail(_ failure: Failure) {
    guard !isClosed else { return }
    let report = onHandshake
    let listener = end()
    lower.close()
    if let report { report(failure) } else { tell(failure, listener) }
  }

  @discardableResult
  private func end() -> (any PacketChannelDelegate)? {
    let listener = finish()
    leaveBehind()
    return listener
  }

  /// Nothing more is sent or received.
  private func leaveBehind() {
    isOpen = false
    isOver = true
    onHandshake = nil
    timer?.close()
    timer = nil
    deadline?.close()
    lower.delegate = nil
    release()
  }

  private func leave() {
    depth -= 1
    release()
  }

  private func release() {
    guard isOver, depth == 0, let ssl else { return }
    self.ssl = nil
    SSL_free(ssl)
  }
}

/// What a timer calls that is made before its owner is.
private final class LateCall {
  var call: (() -> Void)?
}

extension DTLSChannel {
  /// Asked by OpenSSL what a client is to be served with.
  static let selector: rstream_dtls_select = { owner, name, length, offersProtocols, alert in
    guard let owner else { return nil }
    let text = name.map { name in
      String(decoding: UnsafeRawBufferPointer(start: name, count: length), as: UTF8.self)
    }
    let channel = Unmanaged<DTLSChannel>.fromOpaque(owner).takeUnretainedValue()
    return channel.choose(text, offersProtocols: offersProtocols != 0, alert)
  }
}
