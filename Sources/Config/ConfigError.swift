// SPDX-License-Identifier: Apache-2.0

/// Why a setting, a combination of settings or a tunnel property was refused: which one, why, and what to do.
/// Never contains a token or a secret.
public struct ConfigError: Error, Equatable, Sendable {
  /// What kind of refusal it is; the cases stand for codes of rstream/error.h.
  public enum Kind: Equatable, Sendable {
    case invalidConfig
    case invalidEngine
    case engineRequired
    case invalidTimeout
    case authConflict
    case mtlsIncomplete
    case tokenExpired
    case unsupportedTransport
    case authRequired
    case contextNotFound
    case contextAmbiguous
    case invalidAPIURL
    case invalidRegion
    case regionEngineConflict
    case projectEndpointRequired
    case storedTokenEngineOverride
    case storedMTLSEngineOverride
    case unsupportedTokenStorage
    case unsupportedMTLSStorage
    case invalidTunnel
    /// A file could not be read; the value is errno's (positive).
    case unreadable(Int32)
  }

  public let kind: Kind
  public let message: String

  public init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  /// The same refusal with the place it comes from in front: "edge.yaml:3: tls.enabled: ...".
  func at(_ place: String) -> ConfigError {
    ConfigError(kind, "\(place): \(message)")
  }
}
