// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import RstreamNet

/// A certificate to be made: whom it is for, how long it holds and what it may be used for.
struct CertificateRequest {
  var commonName: String
  /// Seconds since 1970.
  var notBefore: Int64
  var notAfter: Int64
  /// Extensions in OpenSSL's words, in their order.
  var extensions: [(identifier: Int32, value: String)]

  static func authority(_ commonName: String, from start: Int64, to end: Int64) -> CertificateRequest {
    CertificateRequest(
      commonName: commonName, notBefore: start, notAfter: end,
      extensions: [
        (NID_basic_constraints, "critical,CA:TRUE,pathlen:0"), (NID_key_usage, "critical,keyCertSign,cRLSign"),
        (NID_subject_key_identifier, "hash"),
      ])
  }

  /// - Parameter names: host names, "*." in front of a wildcard, and IP addresses
  static func server(_ names: [String], from start: Int64, to end: Int64) -> CertificateRequest {
    let alternatives = names.map { isAddress($0) ? "IP:\($0)" : "DNS:\($0)" }.joined(separator: ",")
    return CertificateRequest(
      commonName: names.first ?? "", notBefore: start, notAfter: end,
      extensions: [
        (NID_basic_constraints, "critical,CA:FALSE"), (NID_key_usage, "critical,digitalSignature"),
        (NID_ext_key_usage, "serverAuth"), (NID_subject_alt_name, alternatives), (NID_subject_key_identifier, "hash"),
        (NID_authority_key_identifier, "keyid:always"),
      ])
  }

  private static func isAddress(_ name: String) -> Bool {
    name.utf8.contains(UInt8(ascii: ":")) || name.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E }
  }

  /// Signs the certificate for a key. Without an issuer it signs itself.
  func sign(_ key: PrivateKey, issuer: (certificate: Certificate, key: PrivateKey)?) throws(Failure) -> Certificate {
    guard let pointer = X509_new() else { throw OpenSSLFailure.of("make a certificate") }
    let certificate = Certificate(pointer)
    let isFilled =
      X509_set_version(pointer, 2) == 1 && setSerialNumber(pointer) && setTimes(pointer) && setSubject(pointer)
      && X509_set_issuer_name(pointer, X509_get_subject_name(issuer?.certificate.pointer ?? pointer)) == 1
      && X509_set_pubkey(pointer, key.pointer) == 1
    guard isFilled, addExtensions(pointer, issuer: issuer?.certificate.pointer ?? pointer),
      X509_sign(pointer, issuer?.key.pointer ?? key.pointer, EVP_sha256()) > 0
    else { throw OpenSSLFailure.of("make a certificate") }
    return certificate
  }

  /// 126 random bits: positive, never zero, and of one length.
  private func setSerialNumber(_ certificate: OpaquePointer) -> Bool {
    var generator = SystemRandomNumberGenerator()
    var bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    bytes[0] = bytes[0] & 0x7F | 0x40
    guard let number = BN_bin2bn(bytes, Int32(bytes.count), nil) else { return false }
    defer { BN_free(number) }
    return BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nil
  }

  private func setTimes(_ certificate: OpaquePointer) -> Bool {
    ASN1_TIME_set(X509_getm_notBefore(certificate), time_t(notBefore)) != nil
      && ASN1_TIME_set(X509_getm_notAfter(certificate), time_t(notAfter)) != nil
  }

  private func setSubject(_ certificate: OpaquePointer) -> Bool {
    // A common name has at most 64 bytes; names that count are in the extension.
    guard commonName.utf8.count <= 64 else { return true }
    return X509_NAME_add_entry_by_txt(
      X509_get_subject_name(certificate), "CN", MBSTRING_UTF8, Array(commonName.utf8), Int32(commonName.utf8.count), -1,
      0)
      == 1
  }

  private func addExtensions(_ certificate: OpaquePointer, issuer: OpaquePointer) -> Bool {
    extensions.allSatisfy { identifier, value in
      guard let made = CertificateRequest.makeExtension(identifier, value, issuer: issuer, subject: certificate) else {
        return false
      }
      defer { X509_EXTENSION_free(made) }
      return X509_add_ext(certificate, made, -1) == 1
    }
  }

  private static func makeExtension(
    _ identifier: Int32, _ value: String, issuer: OpaquePointer?, subject: OpaquePointer?
  ) -> OpaquePointer? {
    var context = X509V3_CTX()
    X509V3_set_ctx(&context, issuer, subject, nil, nil, 0)
    return X509V3_EXT_nconf_nid(nil, &context, identifier, value)
  }

  /// The bytes that an extension of the request has in a certificate; for those that depend on nothing but their value.
  func extensionValue(_ identifier: Int32) -> [UInt8]? {
    guard let value = extensions.first(where: { $0.identifier == identifier })?.value,
      let made = CertificateRequest.makeExtension(identifier, value, issuer: nil, subject: nil)
    else { return nil }
    defer { X509_EXTENSION_free(made) }
    guard let data = X509_EXTENSION_get_data(made) else { return nil }
    return Array(UnsafeBufferPointer(start: ASN1_STRING_get0_data(data), count: Int(ASN1_STRING_length(data))))
  }
}
