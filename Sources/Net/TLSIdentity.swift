// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// The certificate that a client shows, and its private key.
public enum TLSIdentity: Sendable {
  /// PEM files.
  case files(certificate: String, key: String)
  /// PEM text.
  case text(certificate: String, key: String)

  /// The certificates of a PEM text in their order, owned by the caller.
  static func certificates(_ text: String) -> [OpaquePointer] {
    var certificates: [OpaquePointer] = []
    withMemory(text) { memory in
      while let certificate = PEM_read_bio_X509(memory, nil, nil, nil) { certificates.append(certificate) }
    }
    // What ends the text is no error of whoever looks next.
    if !certificates.isEmpty { ERR_clear_error() }
    return certificates
  }

  /// The private key of a PEM text, owned by the caller. One with a passphrase is refused: there is nobody to ask.
  static func key(_ text: String) -> OpaquePointer? {
    withMemory(text) { memory in PEM_read_bio_PrivateKey(memory, nil, { _, _, _, _ in -1 }, nil) }
  }

  private static func withMemory<Result>(_ text: String, _ body: (OpaquePointer?) -> Result) -> Result {
    let bytes = Array(text.utf8)
    return bytes.withUnsafeBytes { buffer in
      let memory = BIO_new_mem_buf(buffer.baseAddress, Int32(clamping: buffer.count))
      defer { BIO_free(memory) }
      return body(memory)
    }
  }
}
