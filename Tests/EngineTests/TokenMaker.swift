// SPDX-License-Identifier: Apache-2.0
@testable import RstreamEngine

/// Makes tokens, right and wrong ones.
enum TokenMaker {
  static let secret = "0123456789abcdef0123456789abcdef"

  static func token(_ claims: String, header: String = #"{"alg":"HS256","typ":"JWT"}"#, secret: String = secret)
    -> String
  {
    let signed = "\(base64url(Array(header.utf8))).\(base64url(Array(claims.utf8)))"
    let signature = Digest.hmacSHA256(Array(signed.utf8), key: Array(secret.utf8)) ?? []
    return "\(signed).\(base64url(signature))"
  }

  static func base64url(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    var text: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      let number = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
      text += [18, 12, 6, 0].prefix(group.count + 1).map { alphabet[number >> $0 & 63] }
    }
    return String(decoding: text, as: UTF8.self)
  }
}
