// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// TLS over another channel. Records are decrypted and encrypted through the loop's scratch memory: the connection itself
/// holds no buffer while it is idle.
public final class TLSChannel: ByteChannel, ByteChannelDelegate {
  public typealias HandshakeDone = (Failure?) -> Void

  private enum State { case handshake, open, closed }

  private let lower: ByteChannel
  private let context: TLSContext
  private let sessions: TLSSessionStore?
  private let serverName: String
  private var ssl: OpaquePointer?
  private let io: UnsafeMutablePointer<rstream_tls_io>
  private var state = State.handshake
  private var onHandshake: HandshakeDone?
  /// Encrypted bytes that arrived and wait because reading was stopped.
  private var held = ByteQueue()
  private var lowerEnded = false
  private var endSeen = false
  private var endDelivered = false
  private var endSent = false
  /// The signature that the handshake waits for: it is paused meanwhile.
  private var pendingSignature: PendingSignature?
  private var signatureFailure: Failure?
  private var offersEncryptedHello = false
  /// Set when the server has rejected the encrypted ClientHello, and the handshake has failed for that.
  public private(set) var echRejection: ECHRejection?
  /// Nesting of calls into OpenSSL: the connection is freed when the outermost returns.
  private var depth = 0

  /// Starts a client's handshake.
  /// - Parameters:
  ///   - serverName: sent as SNI and verified; an IP literal is verified but not sent.
  ///   - echList: encrypts the ClientHello with a configuration of this ECHConfigList
  public convenience init(
    client context: TLSContext, over lower: ByteChannel, serverName: String, sessions: TLSSessionStore? = nil,
    echList: [UInt8]? = nil, _ onHandshake: @escaping HandshakeDone
  ) throws(Failure) {
    try self.init(context, lower, serverName, sessions, onHandshake)
    guard let ssl else { return }
    SSL_set_connect_state(ssl)
    let isLiteral = SocketAddress(literal: serverName, port: 0) != nil
    if !isLiteral, !serverName.isEmpty { rstream_tls_set_host_name(ssl, serverName) }
    if context.verifiesPeer {
      if isLiteral {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), serverName)
      } else {
        SSL_set1_host(ssl, serverName)
      }
    }
    if !context.alpnOffer.isEmpty {
      SSL_set_alpn_protos(ssl, context.alpnOffer, UInt32(context.alpnOffer.count))
    }
    if let echList {
      offersEncryptedHello = rstream_ech_offer(ssl, echList, echList.count) == 1
      if !offersEncryptedHello { Log.debug("ech", "\(serverName): OpenSSL cannot use what its ECH record says") }
    }
    sessions?.offer(to: ssl)
    begin()
  }

  /// Starts a server's handshake.
  public convenience init(server context: TLSContext, over lower: ByteChannel, _ onHandshake: @escaping HandshakeDone)
    throws(Failure)
  {
    try self.init(context, lower, "", nil, onHandshake)
    guard let ssl else { return }
    SSL_set_accept_state(ssl)
    begin()
  }

  private init(
    _ context: TLSContext, _ lower: ByteChannel, _ serverName: String, _ sessions: TLSSessionStore?,
    _ onHandshake: @escaping HandshakeDone
  ) throws(Failure) {
    self.context = context
    self.lower = lower
    self.sessions = sessions
    self.serverName = serverName
    self.onHandshake = onHandshake
    io = .allocate(capacity: 1)
    io.initialize(to: rstream_tls_io())
    super.init(lower.loop)
    guard let ssl = SSL_new(context.raw), let bio = rstream_tls_bio_new(io) else {
      throw TLSContext.failure("make a TLS connection")
    }
    SSL_set_bio(ssl, bio, bio)
    rstream_tls_set_owner(ssl, Unmanaged.passUnretained(self).toOpaque())
    self.ssl = ssl
  }

  deinit {
    held.removeAll()
    if let ssl { SSL_free(ssl) }
    io.deallocate()
  }

  // MARK: What the handshake agreed on

  /// The application protocol, "" when none was negotiated.
  public var negotiatedProtocol: String { ssl.map { TLSContext.negotiatedProtocol(of: $0) } ?? "" }

  /// Whether the handshake continued an earlier session.
  public var isResumed: Bool { ssl.map { SSL_session_reused($0) == 1 } ?? false }

  /// Version and cipher suite.
  public var sessionDescription: String {
    guard let ssl, let version = SSL_get_version(ssl) else { return "TLS" }
    let suite = SSL_CIPHER_get_name(SSL_get_current_cipher(ssl)).map { " \(String(cString: $0))" } ?? ""
    return String(cString: version) + suite
  }

  /// For how many days the peer's certificate is valid.
  public var peerCertificateDays: Int32? {
    guard let ssl, let certificate = SSL_get0_peer_certificate(ssl) else { return nil }
    var days: Int32 = 0
    var seconds: Int32 = 0
    return ASN1_TIME_diff(&days, &seconds, nil, X509_get0_notAfter(certificate)) == 1 ? days : nil
  }

  public var peerCertificate: PeerCertificate {
    guard let ssl, SSL_get0_peer_certificate(ssl) != nil else { return .none }
    return SSL_get_verify_result(ssl) == Int(X509_V_OK) ? .trusted : .untrusted
  }

  // MARK: ByteChannel

  public override var queuedBytes: Int { lower.queuedBytes }
  public override var peer: SocketAddress? { lower.peer }

  public override func write(_ bytes: UnsafeRawBufferPointer) {
    guard !isClosed, state == .open, !endSent, let ssl, bytes.count > 0 else { return }
    depth += 1
    let output = loop.takeScratch()
    var rest = bytes
    while !rest.isEmpty {
      let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(Loop.chunkSize))
      lend(output)
      let written = SSL_write(ssl, piece.baseAddress, Int32(piece.count))
      send(output)
      guard written == piece.count else {
        loop.giveBackScratch(output)
        leave()
        let failure = TLSContext.failure("encrypt")
        loop.later { [weak self] in self?.fail(failure) }
        return
      }
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(piece.count))
    }
    loop.giveBackScratch(output)
    leave()
  }

  public override func shutdown() {
    guard !isClosed, state == .open, !endSent else { return }
    sendCloseNotify()
    lower.shutdown()
  }

  public override func close() {
    guard !isClosed else { return }
    if state == .open { sendCloseNotify() }
    end()
    lower.close()
  }

  public override func reset() {
    guard !isClosed else { return }
    end()
    lower.reset()
  }

  override func readingChanged() {
    guard state == .open else { return }
    if isReading && held.isEmpty && !lowerEnded && !endSeen {
      lower.readStart()
      // Decrypted bytes may be waiting inside OpenSSL.
      if let ssl, SSL_pending(ssl) > 0 { deferDelivery() }
    } else if isReading {
      deferDelivery()
    } else {
      lower.readStop()
    }
  }

  override func deliverHeld() {
    guard state == .open, isReading else { return }
    var bytes = held
    held = ByteQueue()
    pump(bytes.bytes)
    bytes.removeAll()
    if isReading, !isClosed, held.isEmpty, !lowerEnded, !endSeen { lower.readStart() }
  }

  // MARK: The channel below

  public func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {
    if (state == .open && (mustWait || !held.isEmpty)) || pendingSignature != nil {
      held.append(bytes)
      lower.readStop()
    } else {
      pump(bytes)
    }
  }

  public func channelReceivedEnd(_ channel: ByteChannel) {
    lowerEnded = true
    io.pointee.input_ended = 1
    if pendingSignature != nil { return }
    if state == .handshake || !mustWait { pump(UnsafeRawBufferPointer(start: nil, count: 0)) }
  }

  public func channelDrained(_ channel: ByteChannel) {
    if state == .open { delegate?.channelDrained(self) }
  }

  public func channel(_ channel: ByteChannel, failed failure: Failure) {
    fail(state == .handshake ? failure.during(attempt) : failure)
  }

  // MARK: Handshake

  private func begin() {
    lower.delegate = self
    lower.readStart()
    if !context.isServer {
      // The first flight goes out at once; its outcome is told later.
      depth += 1
      let output = loop.takeScratch()
      lend(output)
      if let ssl { SSL_do_handshake(ssl) }
      send(output)
      loop.giveBackScratch(output)
      leave()
    }
  }

  private func continueHandshake(_ ssl: OpaquePointer) -> Bool {
    let result = SSL_do_handshake(ssl)
    if result == 1 {
      if offersEncryptedHello, rstream_ech_get_outcome(ssl) != RSTREAM_ECH_ACCEPTED {
        let failure = handshakeFailure(ssl)
        loop.later { [self] in fail(failure) }
        return false
      }
      state = .open
      if context.externalIdentity != nil { rstream_tls_signed(ssl) }
      return true
    }
    if SSL_get_error(ssl, result) == SSL_ERROR_WANT_ASYNC, let identity = context.externalIdentity,
      let pending = identity.takeStarted()
    {
      pendingSignature = pending
      identity.sign(pending) { [weak self] result in self?.signed(pending, result) }
      return false
    }
    if SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ && !(lowerEnded && io.pointee.input_length == 0) {
      return false
    }
    let failure = handshakeFailure(ssl)
    loop.later { [self] in fail(failure) }
    return false
  }

  /// The signature is there, or none comes: the handshake goes on with what has arrived meanwhile.
  private func signed(_ pending: PendingSignature, _ result: Result<[UInt8], Failure>) {
    guard pendingSignature === pending, !isClosed else { return }
    pendingSignature = nil
    switch result {
    case .success(let signature): pending.finish(signature)
    case .failure(let failure):
      signatureFailure = failure
      pending.finish(nil)
    }
    var bytes = held
    held = ByteQueue()
    pump(bytes.bytes)
    bytes.removeAll()
    if state == .handshake, !isClosed, !lowerEnded { lower.readStart() }
  }

  private var attempt: String { serverName.isEmpty ? "TLS handshake" : "TLS handshake with \(serverName)" }

  private func handshakeFailure(_ ssl: OpaquePointer) -> Failure {
    if let signatureFailure {
      rstream_tls_take_error()
      return signatureFailure
    }
    if offersEncryptedHello, rstream_ech_get_outcome(ssl) == RSTREAM_ECH_REJECTED {
      rstream_tls_take_error()
      let rejection = ECHRejection(ssl)
      echRejection = rejection
      return rejection.failure.during(attempt)
    }
    let verification = SSL_get_verify_result(ssl)
    if !context.isServer, verification != X509_V_OK, context.verifiesPeer {
      rstream_tls_take_error()
      let reason = String(cString: X509_verify_cert_error_string(verification))
      return Failure(ErrorCode.tls, "\(attempt): certificate not accepted: \(reason)")
    }
    if lowerEnded, io.pointee.input_length == 0 {
      rstream_tls_take_error()
      return Failure(ErrorCode.tls, "\(attempt): the peer closed the connection")
    }
    return TLSContext.failure(attempt)
  }

  // MARK: Records

  /// Feeds encrypted bytes through OpenSSL and delivers what comes out.
  private func pump(_ bytes: UnsafeRawBufferPointer) {
    guard let ssl, !isClosed, state != .closed else { return }
    depth += 1
    // SSL_get_error looks at the thread's error queue, where others may have left something.
    ERR_clear_error()
    let output = loop.takeScratch()
    io.pointee.input = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
    io.pointee.input_length = bytes.count

    if state == .handshake {
      lend(output)
      let done = continueHandshake(ssl)
      send(output)
      if done {
        // Whoever waits for the handshake starts reading, or not; what has arrived already waits until then.
        let report = onHandshake
        onHandshake = nil
        report?(nil)
        if !isReading, !isClosed { lower.readStop() }
      }
    }
    if state == .open, !isClosed { deliver(ssl, output) }

    if !isClosed, io.pointee.input_length > 0, let rest = io.pointee.input {
      held.append(UnsafeRawBufferPointer(start: rest, count: io.pointee.input_length))
    }
    io.pointee.input_length = 0
    loop.giveBackScratch(output)
    leave()
  }

  private func deliver(_ ssl: OpaquePointer, _ output: UnsafeMutableRawBufferPointer) {
    let plain = loop.takeScratch()
    defer { loop.giveBackScratch(plain) }
    while !mustWait, !isClosed, !endDelivered {
      var filled = 0
      var outcome: Int32 = 1
      var isDry = false
      lend(output)
      while filled < Loop.chunkSize {
        outcome = SSL_read(ssl, plain.baseAddress.map { $0 + filled }, Int32(Loop.chunkSize - filled))
        guard outcome > 0 else { break }
        filled += Int(outcome)
        // To ask once more would cost OpenSSL a buffer and an error to say the same.
        isDry = io.pointee.input_length == 0 && !lowerEnded && SSL_has_pending(ssl) == 0
        if isDry { break }
      }
      let error = outcome > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl, outcome)
      // Key updates are answered from inside SSL_read.
      send(output)
      if filled > 0 { delegate?.channel(self, received: UnsafeRawBufferPointer(rebasing: plain[..<filled])) }
      switch error {
      case SSL_ERROR_NONE:
        if isDry { return }
      case SSL_ERROR_WANT_READ: return
      case SSL_ERROR_ZERO_RETURN: return deliverEnd()
      default:
        if lowerEnded, io.pointee.input_length == 0 {
          // Many peers end without close_notify.
          rstream_tls_take_error()
          return deliverEnd()
        }
        let failure = TLSContext.failure("TLS connection")
        loop.later { [self] in fail(failure) }
        return
      }
    }
  }

  private func deliverEnd() {
    endSeen = true
    // Stopped while the last bytes were delivered: the end is told when reading goes on.
    guard !endDelivered, !isClosed, !mustWait else { return }
    endDelivered = true
    delegate?.channelReceivedEnd(self)
  }

  private func sendCloseNotify() {
    guard !endSent, let ssl else { return }
    endSent = true
    depth += 1
    let output = loop.takeScratch()
    lend(output)
    SSL_shutdown(ssl)
    rstream_tls_take_error()
    send(output)
    loop.giveBackScratch(output)
    leave()
  }

  private func lend(_ output: UnsafeMutableRawBufferPointer) {
    io.pointee.output = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
    io.pointee.output_length = 0
    io.pointee.output_capacity = output.count
  }

  private func send(_ output: UnsafeMutableRawBufferPointer) {
    let count = io.pointee.output_length
    io.pointee.output = nil
    io.pointee.output_length = 0
    io.pointee.output_capacity = 0
    if count > 0 { lower.write(UnsafeRawBufferPointer(rebasing: output[..<count])) }
  }

  // MARK: Ending

  /// Keeps a session ticket; called by OpenSSL. True when the reference was taken over.
  func keep(_ session: OpaquePointer) -> Bool {
    guard let sessions else { return false }
    sessions.add(session)
    return true
  }

  private func fail(_ failure: Failure) {
    guard !isClosed else { return }
    let listener = delegate
    let report = onHandshake
    end()
    // An alert may be on its way out.
    lower.close()
    if let report {
      report(failure)
    } else {
      listener?.channel(self, failed: failure)
    }
  }

  private func end() {
    isClosed = true
    state = .closed
    delegate = nil
    onHandshake = nil
    held.removeAll()
    dropPushedBack()
    lower.delegate = nil
    release()
  }

  private func leave() {
    depth -= 1
    release()
  }

  private func release() {
    guard isClosed, depth == 0, let ssl else { return }
    self.ssl = nil
    if let pendingSignature {
      // A paused handshake keeps its stack: it has to end.
      self.pendingSignature = nil
      pendingSignature.finish(nil)
      let output = loop.takeScratch()
      io.pointee.input_length = 0
      lend(output)
      SSL_do_handshake(ssl)
      rstream_tls_take_error()
      loop.giveBackScratch(output)
    }
    SSL_free(ssl)
  }
}
