// SPDX-License-Identifier: Apache-2.0
import CQUIC
import Glibc

/// What a server does with a client's ClientHello.
public enum QUICServerChoice {
  /// Goes on with this certificate and application protocol, under the listener's settings or those given here.
  case serve(QUICCredentials, protocol: String, requestsCertificate: Bool, QUICSettings? = nil)
  /// Ends the handshake with no_application_protocol.
  case refuseProtocol
  /// Ends the handshake with unrecognized_name.
  case refuseName
  /// Ends the handshake with access_denied.
  case refuseAccess
  /// Ends the handshake with internal_error.
  case fail
}

/// The TLS 1.3 handshake inside a QUIC connection (RFC 9001): a GnuTLS session, driven by ngtcp2's helper.
final class QUICTLSSession {
  private static let priorities =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"
    + "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+GROUP-SECP521R1:%DISABLE_TLS13_COMPAT_MODE:"
    // Keys and signatures of certificates as strong as OpenSSL wants them (its security level 2).
    + "%PROFILE_MEDIUM"

  let raw: OpaquePointer
  let serverName: String
  private let anchor: UnsafeMutablePointer<rstream_quic_anchor>
  private let choose: ((ClientHello) -> QUICServerChoice)?
  private var credentials: QUICCredentials?
  /// Told the settings that a client is served under, when these are not the listener's.
  var onSettings: ((QUICSettings) -> Void)?
  /// The alert that a handshake was ended with here, when it is another than GnuTLS would have sent.
  private(set) var ownAlert: UInt8?
  private var keyLog: KeyLog?
  private let expectation: PeerExpectation?
  /// What the check of a server's certificate has come to, in GnuTLS's bits; nil before.
  private var verification: UInt32?

  /// - Parameter serverName: sent as SNI and verified; an IP literal is verified but not sent.
  init(client credentials: QUICCredentials, serverName: String, alpn: [String], keyLogFile: String?) throws(Failure) {
    // A certificate is shown whatever authorities the server names, as it is over TLS.
    raw = try Self.make(GNUTLS_CLIENT.rawValue | GNUTLS_FORCE_CLIENT_CERT.rawValue)
    anchor = Self.makeAnchor(raw)
    choose = nil
    self.serverName = serverName
    expectation = credentials.verifiesPeer ? PeerExpectation(serverName) : nil
    self.credentials = credentials
    try prepare(ngtcp2_crypto_gnutls_configure_client_session(raw), keyLogFile)
    gnutls_credentials_set(raw, GNUTLS_CRD_CERTIFICATE, UnsafeMutableRawPointer(credentials.raw))
    setALPN(alpn, 0)
    if SocketAddress(literal: serverName, port: 0) == nil, !serverName.isEmpty {
      gnutls_server_name_set(raw, GNUTLS_NAME_DNS, serverName, serverName.utf8.count)
    }
    guard expectation != nil else { return }
    gnutls_session_set_verify_function(raw) { session in
      QUICTLSSession.owner(of: session)?.verified() ?? GNUTLS_E_CERTIFICATE_ERROR
    }
  }

  /// - Parameter choose: asked once, when the ClientHello is there
  init(server choose: @escaping (ClientHello) -> QUICServerChoice, keyLogFile: String?) throws(Failure) {
    raw = try Self.make(GNUTLS_SERVER.rawValue)
    anchor = Self.makeAnchor(raw)
    self.choose = choose
    serverName = ""
    expectation = nil
    try prepare(ngtcp2_crypto_gnutls_configure_server_session(raw), keyLogFile)
    anchor.pointee.owner = Unmanaged.passUnretained(self).toOpaque()
    gnutls_handshake_set_hook_function(raw, GNUTLS_HANDSHAKE_CLIENT_HELLO.rawValue, GNUTLS_HOOK_PRE) {
      session, _, _, incoming, message in
      guard incoming != 0, let owner = QUICTLSSession.owner(of: session), let message else { return 0 }
      return owner.chosen(message.pointee)
    }
  }

  deinit {
    gnutls_deinit(raw)
    anchor.deallocate()
  }

  /// The connection is known only after its session.
  func use(_ connection: OpaquePointer) {
    anchor.pointee.connection = connection
    ngtcp2_conn_set_tls_native_handle(connection, UnsafeMutableRawPointer(raw))
  }

  private static func make(_ side: UInt32) throws(Failure) -> OpaquePointer {
    var raw: gnutls_session_t?
    let status = gnutls_init(&raw, side | GNUTLS_NO_AUTO_SEND_TICKET.rawValue | GNUTLS_NO_TICKETS.rawValue)
    guard status == 0, let raw else { throw QUICCredentials.failure(status, "make a QUIC connection") }
    return raw
  }

  private static func makeAnchor(_ raw: OpaquePointer) -> UnsafeMutablePointer<rstream_quic_anchor> {
    let anchor = UnsafeMutablePointer<rstream_quic_anchor>.allocate(capacity: 1)
    anchor.initialize(to: rstream_quic_anchor())
    rstream_quic_anchor_set(raw, anchor)
    return anchor
  }

  private static func owner(of session: OpaquePointer?) -> QUICTLSSession? {
    guard let pointer = gnutls_session_get_ptr(session),
      let owner = pointer.assumingMemoryBound(to: rstream_quic_anchor.self).pointee.owner
    else { return nil }
    return Unmanaged<QUICTLSSession>.fromOpaque(owner).takeUnretainedValue()
  }

  private func prepare(_ configured: Int32, _ keyLogFile: String?) throws(Failure) {
    let status = gnutls_priority_set_direct(raw, Self.priorities, nil)
    guard configured == 0, status == 0 else { throw QUICCredentials.failure(status, "make a QUIC connection") }
    keyLog = keyLogFile.flatMap { KeyLog($0) }
    anchor.pointee.owner = Unmanaged.passUnretained(self).toOpaque()
    // Without this GnuTLS would heed the environment, whether the settings say so or not.
    gnutls_session_set_keylog_function(raw) { session, label, secret in
      guard let session, let label, let secret, let log = QUICTLSSession.owner(of: session)?.keyLog else { return 0 }
      log.add(session, String(cString: label), secret.pointee)
      return 0
    }
  }

  private func setALPN(_ protocols: [String], _ flags: UInt32) {
    let copies = protocols.map { strdup($0) }
    defer { for copy in copies { free(copy) } }
    var data: [gnutls_datum_t] = []
    for case let copy? in copies {
      let bytes = UnsafeMutableRawPointer(copy).assumingMemoryBound(to: UInt8.self)
      data.append(gnutls_datum_t(data: bytes, size: UInt32(clamping: strlen(copy))))
    }
    _ = gnutls_alpn_set_protocols(raw, data, UInt32(data.count), flags)
  }

  /// Sets the session up for the client whose ClientHello has come.
  private func chosen(_ message: gnutls_datum_t) -> Int32 {
    guard let choose else { return 0 }
    let body = UnsafeRawBufferPointer(start: message.data, count: Int(message.size))
    guard let hello = ClientHello(body: Array(body)[...]) else { return GNUTLS_E_UNEXPECTED_PACKET_LENGTH }
    switch choose(hello) {
    case .serve(let credentials, let name, let requestsCertificate, let settings):
      guard hello.protocols?.contains(name) == true else { return GNUTLS_E_NO_APPLICATION_PROTOCOL }
      self.credentials = credentials
      gnutls_credentials_set(raw, GNUTLS_CRD_CERTIFICATE, UnsafeMutableRawPointer(credentials.raw))
      if requestsCertificate { gnutls_certificate_server_set_request(raw, GNUTLS_CERT_REQUEST) }
      setALPN([name], GNUTLS_ALPN_MANDATORY.rawValue | GNUTLS_ALPN_SERVER_PRECEDENCE.rawValue)
      clientHello = hello
      if let settings { onSettings?(settings) }
      return 0
    case .refuseProtocol: return GNUTLS_E_NO_APPLICATION_PROTOCOL
    case .refuseName: return GNUTLS_E_UNRECOGNIZED_NAME
    case .refuseAccess:
      // GnuTLS has no error that means this alert.
      ownAlert = UInt8(GNUTLS_A_ACCESS_DENIED.rawValue)
      return GNUTLS_E_UNRECOGNIZED_NAME
    case .fail: return GNUTLS_E_INTERNAL_ERROR
    }
  }

  // MARK: What the handshake agreed on

  /// What the client of a server's connection asked for; nil before.
  private(set) var clientHello: ClientHello?

  var negotiatedProtocol: String {
    var name = gnutls_datum_t()
    guard gnutls_alpn_get_selected_protocol(raw, &name) == 0 else { return "" }
    return String(decoding: UnsafeBufferPointer(start: name.data, count: Int(name.size)), as: UTF8.self)
  }

  private var hasPeerCertificate: Bool {
    var count: UInt32 = 0
    return gnutls_certificate_get_peers(raw, &count) != nil && count > 0
  }

  /// What the client of a server's connection has shown.
  var peerCertificate: PeerCertificate {
    guard hasPeerCertificate else { return .none }
    var status: UInt32 = 0
    guard let purpose = strdup(GNUTLS_KP_TLS_WWW_CLIENT) else { return .untrusted }
    defer { free(purpose) }
    var data = gnutls_typed_vdata_st()
    data.type = GNUTLS_DT_KEY_PURPOSE_OID
    data.data = UnsafeMutableRawPointer(purpose).assumingMemoryBound(to: UInt8.self)
    let checked = gnutls_certificate_verify_peers(raw, &data, 1, &status)
    return checked == 0 && status == 0 ? .trusted : .untrusted
  }

  /// Version and cipher suite.
  var sessionDescription: String {
    let cipher = gnutls_cipher_get_name(gnutls_cipher_get(raw)).map { " \(String(cString: $0))" } ?? ""
    return "QUIC v1, TLS 1.3\(cipher)"
  }

  /// For how many days the peer's certificate is valid.
  var peerCertificateDays: Int32? {
    guard hasPeerCertificate else { return nil }
    let end = gnutls_certificate_expiration_time_peers(raw)
    return end == -1 ? nil : Int32(clamping: (end - time(nil)) / 86_400)
  }

  /// Checks the server's certificate, which has come.
  private func verified() -> Int32 {
    guard let credentials, let expectation else { return GNUTLS_E_CERTIFICATE_ERROR }
    repeat {
      guard let status = expectation.check(raw) else { return GNUTLS_E_CERTIFICATE_ERROR }
      verification = status
    } while verification != 0 && credentials.trustSystem()
    return verification == 0 ? 0 : GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR
  }

  /// Why the peer's certificate was not accepted; nil when that was not the reason.
  var verificationFailure: String? {
    guard let status = verification, status != 0 else {
      return peerMaySign ? nil : "its key usage does not allow digital signatures"
    }
    var text = gnutls_datum_t()
    let kind = gnutls_certificate_type_get(raw)
    guard gnutls_certificate_verification_status_print(status, kind, &text, 0) == 0, let words = text.data else {
      return "it cannot be verified"
    }
    defer { free(words) }
    return trimmed(String(cString: words))
  }

  /// TLS 1.3 has no use for other certificates (RFC 8446, section 4.4.2.2), and GnuTLS no alert of its own for them.
  private var peerMaySign: Bool {
    var count: UInt32 = 0
    var certificate: gnutls_x509_crt_t?
    guard let chain = gnutls_certificate_get_peers(raw, &count), count > 0, gnutls_x509_crt_init(&certificate) == 0
    else {
      return true
    }
    defer { gnutls_x509_crt_deinit(certificate) }
    var usage: UInt32 = 0
    guard gnutls_x509_crt_import(certificate, chain, GNUTLS_X509_FMT_DER) == 0,
      gnutls_x509_crt_get_key_usage(certificate, &usage, nil) == 0
    else { return true }
    return usage & UInt32(GNUTLS_KEY_DIGITAL_SIGNATURE) != 0
  }

  private func trimmed(_ text: String) -> String {
    var text = Substring(text)
    while let last = text.last, last == " " || last == "." || last == "\n" { text.removeLast() }
    return String(text)
  }

  static func alertName(_ alert: UInt8) -> String {
    gnutls_alert_get_name(gnutls_alert_description_t(rawValue: UInt32(alert))).map { String(cString: $0) }
      ?? "TLS alert \(alert)"
  }
}

/// What a server's certificate has to be: for this name, and for servers.
private final class PeerExpectation {
  private let data = UnsafeMutablePointer<gnutls_typed_vdata_st>.allocate(capacity: 2)

  init(_ serverName: String) {
    data.initialize(repeating: gnutls_typed_vdata_st(), count: 2)
    set(0, GNUTLS_DT_DNS_HOSTNAME, serverName)
    set(1, GNUTLS_DT_KEY_PURPOSE_OID, GNUTLS_KP_TLS_WWW_SERVER)
  }

  deinit {
    for index in 0..<2 { free(data[index].data) }
    data.deallocate()
  }

  private func set(_ index: Int, _ type: gnutls_vdata_types_t, _ text: String) {
    data[index].type = type
    data[index].data = UnsafeMutableRawPointer(strdup(text))?.assumingMemoryBound(to: UInt8.self)
  }

  /// Returns GnuTLS's bits, none of which is set when all is well; nil when there is nothing to check.
  func check(_ session: OpaquePointer) -> UInt32? {
    var status: UInt32 = 0
    return gnutls_certificate_verify_peers(session, data, 2, &status) == 0 ? status : nil
  }
}

/// Appends secrets to a file in the format that Wireshark reads; only where the settings ask for it.
private final class KeyLog {
  private let descriptor: Int32

  init?(_ path: String) {
    descriptor = rstream_quic_open_append(path)
    guard descriptor >= 0 else {
      Log.warn("quic", "cannot write secrets to \(path): \(String(cString: strerror(-descriptor)))")
      return nil
    }
  }

  deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

  func add(_ session: OpaquePointer, _ label: String, _ secret: gnutls_datum_t) {
    var client = gnutls_datum_t()
    var server = gnutls_datum_t()
    gnutls_session_get_random(session, &client, &server)
    let line = Array("\(label) \(Self.hexadecimal(client)) \(Self.hexadecimal(secret))\n".utf8)
    _ = Glibc.write(descriptor, line, line.count)
  }

  private static func hexadecimal(_ datum: gnutls_datum_t) -> String {
    let digits = Array("0123456789abcdef")
    return UnsafeBufferPointer(start: datum.data, count: Int(datum.size)).reduce(into: "") { text, byte in
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
  }
}
