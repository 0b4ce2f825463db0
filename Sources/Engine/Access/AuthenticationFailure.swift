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
  /// A token and a client certificate at once.
  case ambiguous
  /// The certificate is of none of the engine's authorities, or not valid.
  case untrusted
  /// The engine has no authorities, and is not open.
  case certificatesNotAccepted
  /// The token asks for something this engine cannot do; accepting it would grant more than it says.
  case unsupported(String)

  /// What the bearer of a token is told whose boundary leaves nothing here.
  static let elsewhere = "The token is for another workspace or project, or permits nothing here."

  var message: String {
    switch self {
    case .missing: "A token is required."
    case .unknown: "The token is not valid for this engine."
    case .malformed(let what): "The token is malformed: \(what)."
    case .wrongAlgorithm: "The token is not signed with HS256."
    case .wrongSignature: "The token's signature does not fit this engine's secret."
    case .expired: "The token has expired."
    case .notYetValid: "The token is not valid yet; compare the clocks."
    case .ambiguous: "A token and a client certificate cannot be used together."
    case .untrusted: "The client certificate is not valid, or of no authority that this engine trusts."
    case .certificatesNotAccepted: "This engine accepts no client certificates: a token is required."
    case .unsupported(let what): "The token cannot be used with this engine: \(what)."
    }
  }
}
