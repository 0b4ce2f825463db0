// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// What a TLS server answers to a client's ALPN offer (RFC 7301).
public enum ALPNPolicy: Sendable {
  /// Whatever is offered is ignored.
  case ignore
  /// The first of these that the client offers; none of them is no reason to refuse.
  case prefer([String])
  /// One of these, else the handshake fails with no_application_protocol.
  case require([String])
}

/// Settings and key material that TLS connections share: an SSL_CTX.
public final class TLSContext {
  let raw: OpaquePointer
  let isServer: Bool
  private let alpn: ALPNPolicy
  /// The protocols that a client offers (ALPN), and the offer in wire form.
  let protocols: [String]
  let alpnOffer: [UInt8]
  let verifiesPeer: Bool
  /// Asked for the signatures of handshakes, when the private key is not here.
  private(set) var externalIdentity: ExternalIdentity?
  /// Whether clients are known to this context by a certificate.
  public private(set) var hasCertificate = false

  public struct ClientSettings {
    public var caFile: String?
    public var skipsVerification = false
    public var identity: TLSIdentity?
    /// Whether an `ExternalIdentity` is to come, with `use`.
    public var awaitsExternalIdentity = false
    public var alpn: [String] = []
    public var allowsTLS12 = false
    /// DTLS 1.2 instead of TLS.
    public var isDatagram = false
    /// Cipher suites before TLS 1.3 by OpenSSL's names, colon-separated; nil for the defaults.
    public var ciphers: String?
    public init() {}
  }

  public struct ServerSettings {
    public var certificateFile = ""
    public var keyFile = ""
    public var alpn = ALPNPolicy.ignore
    public var allowsTLS12 = true
    /// DTLS 1.2 instead of TLS.
    public var isDatagram = false
    /// TLS 1.2 cipher suites by OpenSSL's names, colon-separated; nil for the defaults.
    public var ciphers: String?
    /// TLS 1.3 cipher suites, colon-separated; nil for the defaults.
    public var cipherSuites: String?
    /// Asks for a client certificate; whether one is needed, and which, the caller decides after the handshake.
    public var requestsClientCertificate = false
    /// Authorities of client certificates, PEM.
    public var clientCAFile: String?
    public init() {}
  }

  public init(client settings: ClientSettings) throws(Failure) {
    if settings.awaitsExternalIdentity {
      guard EVP_default_properties_is_fips_enabled(nil) == 0 else {
        throw Failure(ErrorCode.unsupportedMTLSStorage, "in FIPS mode no signatures made elsewhere are used")
      }
      guard let library = rstream_external_library() else {
        throw Failure(ErrorCode.unsupportedMTLSStorage, "this OpenSSL cannot wait for signatures made elsewhere")
      }
      raw = try Self.make(TLS_client_method(), library)
    } else {
      raw = try Self.make(settings.isDatagram ? DTLS_client_method() : TLS_client_method())
    }
    isServer = false
    alpn = .ignore
    protocols = settings.alpn
    alpnOffer = Self.wireForm(settings.alpn)
    verifiesPeer = !settings.skipsVerification
    rstream_tls_set_min_version(
      raw, settings.isDatagram ? DTLS1_2_VERSION : settings.allowsTLS12 ? TLS1_2_VERSION : TLS1_3_VERSION)
    if let ciphers = settings.ciphers, SSL_CTX_set_cipher_list(raw, ciphers) != 1 {
      throw Self.failure("use cipher suites \(ciphers)")
    }
    if !settings.isDatagram { keepSessions() }
    if verifiesPeer {
      SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, nil)
      acceptIntermediateAnchors()
      guard rstream_tls_trust_system(raw) == 1 else { throw Self.failure("make a TLS context") }
      if let file = settings.caFile, SSL_CTX_load_verify_locations(raw, file, nil) != 1 {
        throw Self.failure("read CA certificates from \(file)")
      }
    }
    switch settings.identity {
    case nil: break
    case .files(let certificate, let key): try load(certificate, key)
    case .text(let certificate, let key): try load(certificateText: certificate, keyText: key)
    }
  }

  /// A certificate that is trusted needs nobody above it, over QUIC neither.
  private func acceptIntermediateAnchors() {
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(raw), UInt(X509_V_FLAG_PARTIAL_CHAIN))
  }

  private func keepSessions() {
    rstream_tls_on_new_session(raw) { ssl, session in
      guard let ssl, let session, let owner = rstream_tls_owner(ssl) else { return 0 }
      return Unmanaged<TLSChannel>.fromOpaque(owner).takeUnretainedValue().keep(session) ? 1 : 0
    }
  }

  /// Shows a certificate whose private key is not here, on the connections to come.
  public func use(_ identity: ExternalIdentity) throws(Failure) {
    try identity.install(in: raw)
    externalIdentity = identity
    hasCertificate = true
  }

  /// The same for a context that shares another one's settings, which has the certificate already.
  public func useIdentity(of other: TLSContext) {
    externalIdentity = other.externalIdentity
    hasCertificate = other.hasCertificate
  }

  public init(server settings: ServerSettings) throws(Failure) {
    raw = try Self.make(settings.isDatagram ? DTLS_server_method() : TLS_server_method())
    isServer = true
    alpn = settings.alpn
    protocols = []
    alpnOffer = []
    verifiesPeer = false
    rstream_tls_set_min_version(
      raw, settings.isDatagram ? DTLS1_2_VERSION : settings.allowsTLS12 ? TLS1_2_VERSION : TLS1_3_VERSION)
    // Sessions live in tickets that the clients keep; one ticket a connection is enough.
    rstream_tls_disable_session_cache(raw)
    SSL_CTX_set_num_tickets(raw, 1)
    var id: [UInt8] = Array("rstream".utf8)
    SSL_CTX_set_session_id_context(raw, &id, UInt32(id.count))
    if let ciphers = settings.ciphers, SSL_CTX_set_cipher_list(raw, ciphers) != 1 {
      throw Self.failure("use cipher suites \(ciphers)")
    }
    if let suites = settings.cipherSuites, SSL_CTX_set_ciphersuites(raw, suites) != 1 {
      throw Self.failure("use cipher suites \(suites)")
    }
    try load(settings.certificateFile, settings.keyFile)
    if settings.requestsClientCertificate {
      SSL_CTX_set_verify(raw, SSL_VERIFY_PEER) { _, _ in 1 }
      acceptIntermediateAnchors()
      if let file = settings.clientCAFile, SSL_CTX_load_verify_locations(raw, file, nil) != 1 {
        throw Self.failure("read the authorities of client certificates from \(file)")
      }
    }
    if case .ignore = alpn { return }
    SSL_CTX_set_alpn_select_cb(
      raw,
      { _, selected, selectedLength, offer, offerLength, context in
        guard let context, let offer, let selected, let selectedLength else { return SSL_TLSEXT_ERR_NOACK }
        return Unmanaged<TLSContext>.fromOpaque(context).takeUnretainedValue().select(
          from: UnsafeBufferPointer(start: offer, count: Int(offerLength)), selected, selectedLength)
      }, Unmanaged.passUnretained(self).toOpaque())
  }

  /// The same settings and key material, for connections that speak another protocol.
  public init(sharing client: TLSContext, alpn protocols: [String]) {
    SSL_CTX_up_ref(client.raw)
    raw = client.raw
    isServer = false
    alpn = .ignore
    self.protocols = protocols
    alpnOffer = Self.wireForm(protocols)
    verifiesPeer = client.verifiesPeer
    hasCertificate = client.hasCertificate
  }

  deinit { SSL_CTX_free(raw) }

  private static func make(_ method: OpaquePointer?, _ library: OpaquePointer? = nil) throws(Failure) -> OpaquePointer {
    guard let raw = SSL_CTX_new_ex(library, nil, method) else { throw failure("make a TLS context") }
    rstream_tls_set_defaults(raw)
    return raw
  }

  private func load(_ certificateFile: String, _ keyFile: String) throws(Failure) {
    guard SSL_CTX_use_certificate_chain_file(raw, certificateFile) == 1 else {
      throw Self.failure("read the certificate from \(certificateFile)")
    }
    guard SSL_CTX_use_PrivateKey_file(raw, keyFile, SSL_FILETYPE_PEM) == 1 else {
      throw Self.failure("read the private key from \(keyFile)")
    }
    guard SSL_CTX_check_private_key(raw) == 1 else {
      throw Self.failure("use certificate \(certificateFile) with key \(keyFile)")
    }
    hasCertificate = true
  }

  /// The same for PEM text.
  private func load(certificateText: String, keyText: String) throws(Failure) {
    let certificates = TLSIdentity.certificates(certificateText)
    defer { for certificate in certificates { X509_free(certificate) } }
    guard let leaf = certificates.first, SSL_CTX_use_certificate(raw, leaf) == 1 else {
      throw Self.failure("read the client certificate from the configuration")
    }
    for certificate in certificates.dropFirst() where rstream_tls_add_chain_certificate(raw, certificate) != 1 {
      throw Self.failure("read the client certificate's chain from the configuration")
    }
    let key = TLSIdentity.key(keyText)
    defer { EVP_PKEY_free(key) }
    guard let key, SSL_CTX_use_PrivateKey(raw, key) == 1, SSL_CTX_check_private_key(raw) == 1 else {
      throw Self.failure("use the client certificate's key from the configuration")
    }
    hasCertificate = true
  }

  /// Picks a protocol out of the client's offer.
  private func select(
    from offer: UnsafeBufferPointer<UInt8>, _ selected: UnsafeMutablePointer<UnsafePointer<UInt8>?>,
    _ selectedLength: UnsafeMutablePointer<UInt8>
  ) -> Int32 {
    let wanted: [String]
    let refusal: Int32
    switch alpn {
    case .ignore: return SSL_TLSEXT_ERR_NOACK
    case .prefer(let protocols): (wanted, refusal) = (protocols, SSL_TLSEXT_ERR_NOACK)
    case .require(let protocols): (wanted, refusal) = (protocols, SSL_TLSEXT_ERR_ALERT_FATAL)
    }
    for name in wanted {
      var position = 0
      while position < offer.count {
        let length = Int(offer[position])
        let end = position + 1 + length
        guard length > 0, end <= offer.count else { return SSL_TLSEXT_ERR_ALERT_FATAL }
        if offer[(position + 1)..<end].elementsEqual(name.utf8) {
          selected.pointee = offer.baseAddress.map { $0 + position + 1 }
          selectedLength.pointee = UInt8(length)
          return SSL_TLSEXT_ERR_OK
        }
        position = end
      }
    }
    return refusal
  }

  /// OpenSSL's name for a cipher suite of the TLS registry; other names stay what they are.
  public static func cipherName(_ name: String) -> String {
    guard name.hasPrefix("TLS_"), let known = OPENSSL_cipher_name(name) else { return name }
    let found = String(cString: known)
    return found == "(NONE)" ? name : found
  }

  static func wireForm(_ protocols: [String]) -> [UInt8] {
    protocols.flatMap { name in [UInt8(min(name.utf8.count, 255))] + Array(name.utf8.prefix(255)) }
  }

  /// A failure that says what OpenSSL has to say.
  static func failure(_ attempt: String) -> Failure {
    let code = rstream_tls_take_error()
    let reason = rstream_tls_error_reason(code).map { String(cString: $0) } ?? "unknown reason"
    return Failure(ErrorCode.tls, "\(attempt): \(reason)")
  }

  /// The application protocol of a connection, "" when none was negotiated.
  static func negotiatedProtocol(of ssl: OpaquePointer) -> String {
    var name: UnsafePointer<UInt8>?
    var length: UInt32 = 0
    SSL_get0_alpn_selected(ssl, &name, &length)
    guard let name else { return "" }
    return String(decoding: UnsafeBufferPointer(start: name, count: Int(length)), as: UTF8.self)
  }
}

/// Session tickets of one server, for resuming connections to it. A ticket is used once while there are others (RFC 8446,
/// appendix C.4); the last one is used again rather than doing a full handshake.
public final class TLSSessionStore {
  private static let limit = 16
  private var sessions: [OpaquePointer] = []

  public init() {}

  deinit { for session in sessions { SSL_SESSION_free(session) } }

  public var isEmpty: Bool { sessions.isEmpty }

  /// Takes over the reference.
  func add(_ session: OpaquePointer) {
    if sessions.count == Self.limit { SSL_SESSION_free(sessions.removeFirst()) }
    sessions.append(session)
  }

  /// Offers a session to a new connection: a copy, because OpenSSL spoils a session that was used.
  func offer(to ssl: OpaquePointer) {
    guard let newest = sessions.last, let copy = SSL_SESSION_dup(newest) else { return }
    SSL_set_session(ssl, copy)
    SSL_SESSION_free(copy)
    if sessions.count > 1 { SSL_SESSION_free(sessions.removeLast()) }
  }

  /// Forgets everything, for instance after the server was changed.
  public func removeAll() {
    for session in sessions { SSL_SESSION_free(session) }
    sessions.removeAll()
  }
}
