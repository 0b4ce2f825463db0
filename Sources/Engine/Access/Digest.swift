// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// Hashes for telling secrets apart without telling how far they agree.
enum Digest {
  /// Nothing only when memory is short.
  static func sha256(_ bytes: [UInt8]) -> [UInt8]? {
    var digest = [UInt8](repeating: 0, count: 32)
    var count: UInt32 = 0
    guard EVP_Digest(bytes, bytes.count, &digest, &count, EVP_sha256(), nil) == 1, count == 32 else { return nil }
    return digest
  }

  static func hmacSHA256(_ bytes: [UInt8], key: [UInt8]) -> [UInt8]? {
    var digest = [UInt8](repeating: 0, count: 32)
    var count = 0
    let made = EVP_Q_mac(
      nil, "HMAC", nil, "SHA256", nil, key, key.count, bytes, bytes.count, &digest, digest.count, &count)
    guard made != nil, count == 32 else { return nil }
    return digest
  }

  /// Compares in a time that depends on the lengths only.
  static func isEqual(_ one: [UInt8], _ other: [UInt8]) -> Bool {
    one.count == other.count && CRYPTO_memcmp(one, other, one.count) == 0
  }
}
