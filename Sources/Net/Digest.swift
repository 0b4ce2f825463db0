// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// Digests of bytes.
public enum Digest {
  /// - Parameter bits: "256", "384" or "512"
  public static func sha2(bits: String, _ bytes: [UInt8]) -> [UInt8] {
    digest(["256": EVP_sha256(), "384": EVP_sha384(), "512": EVP_sha512()][bits] ?? nil, bytes)
  }

  /// For protocols that prescribe it where nothing depends on its strength.
  static func sha1(_ bytes: [UInt8]) -> [UInt8] { digest(EVP_sha1(), bytes) }

  private static func digest(_ method: OpaquePointer?, _ bytes: [UInt8]) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    var length: UInt32 = 0
    guard let method, EVP_Digest(bytes, bytes.count, &digest, &length, method, nil) == 1 else { return [] }
    return Array(digest.prefix(Int(length)))
  }
}
