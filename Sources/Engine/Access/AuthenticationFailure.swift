// SPDX-License-Identifier: Apache-2.0

/// Why a token was not accepted. Says nothing of the token itself.
enum AuthenticationFailure: Error, Equatable, Sendable {
  case missing
  /// Not a token that this engine knows: no static token of it, or not a JSON Web Token at all.
  case unknown
  case malformed(String)
  case wrongAlgorithm
  case wrongSignature
  case expired
  case notYetValid
  /// The token asks for something this engine cannot do; accepting it would grant more than it says.
  case unsupported(String)

  var message: String {
    switch self {
    case .missing: "A token is required."
    case .unknown: "The token is not valid for this engine."
    case .malformed(let what): "The token is malformed: \(what)."
    case .wrongAlgorithm: "The token is not signed with HS256."
    case .wrongSignature: "The token's signature does not fit this engine's secret."
    case .expired: "The token has expired."
    case .notYetValid: "The token is not valid yet; compare the clocks."
    case .unsupported(let what): "The token cannot be used with this engine: \(what)."
    }
  }
}
