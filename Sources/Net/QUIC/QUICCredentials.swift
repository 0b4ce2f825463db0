// SPDX-License-Identifier: Apache-2.0
import CQUIC
import Glibc

/// Certificates and keys that QUIC connections share, held by GnuTLS: what TLSContext is for TLS connections, under the
/// same policy.
public final class QUICCredentials {
  let raw: OpaquePointer
  let verifiesPeer: Bool
  /// Whether clients are known to these credentials by a certificate.
  public let hasCertificate: Bool
  private var trustsSystem = false

  /// Where distributions keep the bundle of certificate authorities that GnuTLS was not built to know.
  private static let bundles = [
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
  ]

  public init(client settings: TLSContext.ClientSettings) throws(Failure) {
    guard !settings.awaitsExternalIdentity else {
      throw Failure(
        ErrorCode.unsupportedMTLSStorage,
        "a client certificate whose key is elsewhere cannot be used over QUIC; set transport.mode to tls")
    }
    let raw = try Self.make()
    self.raw = raw
    verifiesPeer = !settings.skipsVerification
    hasCertificate = settings.identity != nil
    if verifiesPeer, let file = settings.caFile {
      let count = gnutls_certificate_set_x509_trust_file(raw, file, GNUTLS_X509_FMT_PEM)
      guard count > 0 else { throw Self.failure(count, "read CA certificates from \(file)") }
    }
    switch settings.identity {
    case nil: break
    case .files(let certificate, let key): try Self.load(raw, certificate, key)
    case .text(let certificate, let key):
      let status = Self.withDatum(certificate) { certificate in
        Self.withDatum(key) { key in gnutls_certificate_set_x509_key_mem(raw, certificate, key, GNUTLS_X509_FMT_PEM) }
      }
      guard status >= 0 else { throw Self.failure(status, "use the client certificate from the configuration") }
    }
  }

  /// A server's certificate.
  /// - Parameter clientCAFile: authorities of client certificates
  public init(certificateFile: String, keyFile: String, clientCAFile: String? = nil) throws(Failure) {
    raw = try Self.make()
    verifiesPeer = false
    hasCertificate = true
    try Self.load(raw, certificateFile, keyFile)
    guard let clientCAFile else { return }
    let count = gnutls_certificate_set_x509_trust_file(raw, clientCAFile, GNUTLS_X509_FMT_PEM)
    guard count > 0 else {
      throw Self.failure(count, "read the authorities of client certificates from \(clientCAFile)")
    }
  }

  deinit { gnutls_certificate_free_credentials(raw) }

  private static func make() throws(Failure) -> OpaquePointer {
    var raw: gnutls_certificate_credentials_t?
    let status = gnutls_certificate_allocate_credentials(&raw)
    guard status == 0, let raw else { throw failure(status, "make credentials for QUIC") }
    return raw
  }

  private static func load(_ raw: OpaquePointer, _ certificate: String, _ key: String) throws(Failure) {
    for file in [certificate, key] where access(file, R_OK) != 0 {
      throw Failure(ErrorCode.tls, "read \(file): \(String(cString: strerror(errno)))")
    }
    let status = gnutls_certificate_set_x509_key_file(raw, certificate, key, GNUTLS_X509_FMT_PEM)
    guard status >= 0 else { throw failure(status, "use certificate \(certificate) with key \(key)") }
  }

  /// Trusts the system's authorities from now on. They are over a hundred certificates, whose reading holds the loop for
  /// 20 ms, so that this is for peers that the CA file does not vouch for. Returns whether that changes anything.
  ///
  /// The environment that OpenSSL heeds counts here too, so that both transports trust the same.
  func trustSystem() -> Bool {
    guard !trustsSystem else { return false }
    trustsSystem = true
    if let file = rstream_quic_environment("SSL_CERT_FILE") {
      _ = gnutls_certificate_set_x509_trust_file(raw, file, GNUTLS_X509_FMT_PEM)
    } else if gnutls_certificate_set_x509_system_trust(raw) <= 0 {
      for bundle in Self.bundles
      where gnutls_certificate_set_x509_trust_file(raw, bundle, GNUTLS_X509_FMT_PEM) > 0 { break }
    }
    if let directory = rstream_quic_environment("SSL_CERT_DIR") {
      _ = gnutls_certificate_set_x509_trust_dir(raw, directory, GNUTLS_X509_FMT_PEM)
    }
    return true
  }

  private static func withDatum(_ text: String, _ body: (UnsafePointer<gnutls_datum_t>) -> Int32) -> Int32 {
    var bytes = Array(text.utf8)
    let count = UInt32(clamping: bytes.count)
    return bytes.withUnsafeMutableBufferPointer { buffer in
      var datum = gnutls_datum_t(data: buffer.baseAddress, size: count)
      return body(&datum)
    }
  }

  static func failure(_ status: Int32, _ attempt: String) -> Failure {
    Failure(ErrorCode.tls, "\(attempt): \(gnutls_strerror(status).map { String(cString: $0) } ?? "unknown reason")")
  }
}
