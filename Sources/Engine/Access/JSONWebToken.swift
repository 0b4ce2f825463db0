// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import RstreamConfig
import RstreamJSON

/// Verifies JSON Web Tokens signed with HS256 (RFC 7519, RFC 7515), and no others: the token's header is not to choose
/// how it is verified.
enum JSONWebToken {
  static let maximumBytes = 32_768
  /// How far the clock of whoever made the token may be ahead. An end is an end.
  static let leeway: Int64 = 60

  /// The claims of a token whose signature and times are right. `now` is in seconds since 1970.
  static func verify(_ token: String, secret: [UInt8], now: Int64) throws(AuthenticationFailure) -> JSONValue {
    guard token.utf8.count <= maximumBytes else { throw .malformed("it is too long") }
    let parts = token.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count == 3 else { throw .unknown }
    guard let header = object(parts[0]) else { throw .malformed("its header is not a JSON object in base64url") }
    guard header["alg"]?.string == "HS256" else { throw .wrongAlgorithm }
    guard header["crit"] == nil else { throw .unsupported("its header demands extensions") }
    guard let signature = Base64URL.decode(parts[2]) else { throw .malformed("its signature is not base64url") }
    let signed = Array(token.utf8.prefix(upTo: parts[2].startIndex).dropLast())
    guard let expected = Digest.hmacSHA256(signed, key: secret), Digest.isEqual(expected, signature) else {
      throw .wrongSignature
    }
    guard let claims = object(parts[1]) else { throw .malformed("its claims are not a JSON object in base64url") }
    try checkTimes(claims, now: now)
    return claims
  }

  private static func checkTimes(_ claims: JSONValue, now: Int64) throws(AuthenticationFailure) {
    if let end = try time("exp", claims), end <= now { throw .expired }
    if let start = try time("nbf", claims), start > saturating(now, plus: leeway) { throw .notYetValid }
    if let made = try time("iat", claims), made > saturating(now, plus: leeway) { throw .notYetValid }
  }

  /// A moment in seconds since 1970; fractions are cut off.
  static func time(_ name: String, _ claims: JSONValue) throws(AuthenticationFailure) -> Int64? {
    switch claims[name] {
    case nil: return nil
    case .integer(let seconds): return seconds
    case .real(let seconds):
      if let whole = Int64(exactly: seconds.rounded(.down)) { return whole }
    default: break
    }
    throw .malformed("\(name) is not a time")
  }

  private static func saturating(_ number: Int64, plus more: Int64) -> Int64 {
    let (sum, overflow) = number.addingReportingOverflow(more)
    return overflow ? Int64.max : sum
  }

  private static func object(_ part: Substring.UTF8View) -> JSONValue? {
    guard let bytes = Base64URL.decode(part), let value = try? JSONParser.parse(bytes), case .object = value else {
      return nil
    }
    return value
  }
}
