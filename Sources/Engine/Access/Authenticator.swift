// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamNet

/// Decides what the bearer of a token may do.
///
/// A client without a token is accepted when the engine is open. A token is accepted when it is one of the static tokens,
/// or a JSON Web Token of the engine's secret; an engine that is open and knows neither takes any token. A token that is
/// wrong is refused even by an open engine: whoever sends one wants it to count.
///
/// A client certificate has to be of one of the engine's authorities; an engine that is open and has none takes any. It
/// permits everything.
struct Authenticator: Sendable {
  private let isOpen: Bool
  private let staticTokens: [[UInt8]]
  private let secret: [UInt8]?
  private let place: Boundary.Place
  private let hasAuthorities: Bool

  init(_ settings: EngineSettings) {
    isOpen = settings.acceptsAnonymous
    staticTokens = settings.tokens.compactMap { Digest.sha256(Array($0.utf8)) }
    hasAuthorities = settings.clientCAFile != nil
    secret = settings.jwtSecret.map { Array($0.utf8) }
    place = Boundary.Place(
      workspaces: [settings.workspaceID].compactMap(\.self),
      projects: [settings.projectEndpoint, settings.projectID].compactMap(\.self))
  }

  /// Whether there are tokens that this engine can tell from others.
  var canVerifyTokens: Bool { !staticTokens.isEmpty || secret != nil }

  /// Whether there is anything to gain by a client certificate.
  var acceptsCertificates: Bool { hasAuthorities || isOpen }

  /// `now` is in seconds since 1970.
  func authenticate(
    _ token: String?, _ certificate: PeerCertificate = .none, now: Int64
  ) throws(AuthenticationFailure) -> AccessGrant {
    switch certificate {
    case .none: return try authenticate(token, now: now)
    case _ where token != nil: throw .ambiguous
    case _ where !acceptsCertificates: throw .certificatesNotAccepted
    case .untrusted where hasAuthorities: throw .untrusted
    case .trusted, .untrusted: return .unrestricted
    }
  }

  private func authenticate(_ token: String?, now: Int64) throws(AuthenticationFailure) -> AccessGrant {
    guard let token, !token.isEmpty else {
      guard isOpen else { throw .missing }
      return .unrestricted
    }
    if isStatic(token) { return .unrestricted }
    if let secret {
      return try AccessGrant(claims: try JSONWebToken.verify(token, secret: secret, now: now), at: place)
    }
    guard isOpen, staticTokens.isEmpty else { throw .unknown }
    return .unrestricted
  }

  /// Hashes have one length, and all of them are compared: the time tells nothing about the tokens.
  private func isStatic(_ token: String) -> Bool {
    guard !staticTokens.isEmpty, let digest = Digest.sha256(Array(token.utf8)) else { return false }
    var isKnown = false
    for known in staticTokens where Digest.isEqual(known, digest) { isKnown = true }
    return isKnown
  }
}
