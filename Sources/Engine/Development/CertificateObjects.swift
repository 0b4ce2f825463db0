// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import RstreamNet

/// A private key on the curve P-256.
final class PrivateKey {
  let pointer: OpaquePointer

  private init(_ pointer: OpaquePointer) { self.pointer = pointer }

  deinit { EVP_PKEY_free(pointer) }

  static func generate() throws(Failure) -> PrivateKey {
    guard let context = EVP_PKEY_CTX_new_from_name(nil, "EC", nil) else { throw OpenSSLFailure.of("make a key") }
    defer { EVP_PKEY_CTX_free(context) }
    var key: OpaquePointer?
    guard EVP_PKEY_keygen_init(context) == 1, EVP_PKEY_CTX_set_group_name(context, "P-256") == 1,
      EVP_PKEY_generate(context, &key) == 1, let key
    else { throw OpenSSLFailure.of("make a key") }
    return PrivateKey(key)
  }

  init?(pem: [UInt8]) {
    let pointer = PEM.read(pem) { PEM_read_bio_PrivateKey($0, nil, noPassword, nil) }
    guard let pointer else { return nil }
    self.pointer = pointer
  }

  func pem() throws(Failure) -> [UInt8] {
    try PEM.write("write a key") { PEM_write_bio_PKCS8PrivateKey($0, pointer, nil, nil, 0, nil, nil) }
  }
}

/// An X.509 certificate.
final class Certificate {
  let pointer: OpaquePointer

  init(_ pointer: OpaquePointer) { self.pointer = pointer }

  deinit { X509_free(pointer) }

  init?(pem: [UInt8]) {
    guard let pointer = PEM.read(pem, { PEM_read_bio_X509($0, nil, noPassword, nil) }) else { return nil }
    self.pointer = pointer
  }

  func pem() throws(Failure) -> [UInt8] {
    try PEM.write("write a certificate") { PEM_write_bio_X509($0, pointer) }
  }

  func belongs(to key: PrivateKey) -> Bool {
    defer { ERR_clear_error() }
    return X509_check_private_key(pointer, key.pointer) == 1
  }

  func isSigned(by authority: Certificate) -> Bool {
    defer { ERR_clear_error() }
    guard let key = X509_get0_pubkey(authority.pointer) else { return false }
    return X509_check_issued(authority.pointer, pointer) == X509_V_OK && X509_verify(pointer, key) == 1
  }

  /// Whether it is valid from `now` to `end`, in seconds since 1970.
  func isValid(from now: Int64, to end: Int64) -> Bool {
    var (start, end) = (time_t(now), time_t(end))
    return X509_cmp_time(X509_get0_notBefore(pointer), &start) < 0
      && X509_cmp_time(X509_get0_notAfter(pointer), &end) > 0
  }

  /// The value of an extension; nothing when there is none.
  func extensionValue(_ identifier: Int32) -> [UInt8]? {
    guard let found = X509_get_ext(pointer, X509_get_ext_by_NID(pointer, identifier, -1)),
      let data = X509_EXTENSION_get_data(found)
    else { return nil }
    return Array(UnsafeBufferPointer(start: ASN1_STRING_get0_data(data), count: Int(ASN1_STRING_length(data))))
  }
}

/// PEM text in memory.
enum PEM {
  static func read(_ text: [UInt8], _ read: (OpaquePointer) -> OpaquePointer?) -> OpaquePointer? {
    defer { ERR_clear_error() }
    guard let bio = BIO_new_mem_buf(text, Int32(clamping: text.count)) else { return nil }
    defer { BIO_free(bio) }
    return read(bio)
  }

  static func write(_ attempt: String, _ write: (OpaquePointer) -> Int32) throws(Failure) -> [UInt8] {
    guard let bio = BIO_new(BIO_s_mem()) else { throw OpenSSLFailure.of(attempt) }
    defer { BIO_free(bio) }
    guard write(bio) == 1 else { throw OpenSSLFailure.of(attempt) }
    var text = [UInt8](repeating: 0, count: BIO_ctrl_pending(bio))
    guard BIO_read(bio, &text, Int32(clamping: text.count)) == Int32(clamping: text.count) else {
      throw OpenSSLFailure.of(attempt)
    }
    return text
  }
}

/// What OpenSSL says about the last failure.
enum OpenSSLFailure {
  static func of(_ attempt: String) -> Failure {
    let reason = rstream_tls_error_reason(rstream_tls_take_error()).map { String(cString: $0) }
    return Failure(ErrorCode.tls, "\(attempt): \(reason ?? "OpenSSL failed")")
  }
}

/// OpenSSL would ask on the terminal for the password of an encrypted key.
private func noPassword(
  _ buffer: UnsafeMutablePointer<CChar>?, _ size: Int32, _ writing: Int32, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  -1
}
