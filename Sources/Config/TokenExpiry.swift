// SPDX-License-Identifier: Apache-2.0

/// Reads from a JSON Web Token when it ends, without verifying it: a client that knows its token has expired need not
/// ask the engine.
enum TokenExpiry {
  /// Seconds since 1970; nothing for opaque tokens and those without an integer `exp`.
  static func of(_ token: String) -> Int64? {
    let parts = token.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count >= 2, let payload = Base64URL.decode(parts[1]) else { return nil }
    var reader = JSONReader(payload)
    return reader.integer(ofKey: "exp")
  }
}
