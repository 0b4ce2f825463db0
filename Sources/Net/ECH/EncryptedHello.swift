// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// Encrypted ClientHello (RFC 9849): the server's name is encrypted with a key that the server has published.
public enum EncryptedHello {
  /// Whether the TLS library can do it.
  public static let isAvailable = rstream_ech_is_available() == 1
}

/// The server could not decrypt the ClientHello, and has proven to be the one that may say so.
public struct ECHRejection {
  /// The ECHConfigList that the server wants to be asked with instead.
  public let retryList: [UInt8]?

  init(_ ssl: OpaquePointer) {
    var count = 0
    let list = rstream_ech_retry_list(ssl, &count)
    defer { rstream_ech_free(list) }
    retryList = list.map { Array(UnsafeBufferPointer(start: $0, count: count)) }
  }

  /// To go on without would tell everybody the name.
  var failure: Failure {
    Failure(
      ErrorCode.tls,
      "the server rejected the encrypted ClientHello (ECH), and its name is not sent unencrypted instead; "
        + "check the ech parameter of its SVCB or HTTPS record")
  }
}
