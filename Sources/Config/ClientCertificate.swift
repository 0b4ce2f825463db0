// SPDX-License-Identifier: Apache-2.0

/// The client certificate that a client shows to its engine.
public enum ClientCertificate: Equatable, Sendable {
  /// PEM files.
  case files(certificate: String, key: String)
  /// PEM text.
  case inline(certificate: String, key: String)
  /// A program that has the key.
  case exec(ExecIdentity)
  /// A token that has the key.
  case pkcs11(PKCS11Identity)
}

extension ClientSettings {
  /// The configured client certificate; nothing when there is none. Refuses what is incomplete or contradicts itself.
  public func clientCertificate() throws(ConfigError) -> ClientCertificate? {
    let (file, keyFile) = (value(.certificateFile), value(.keyFile))
    let (pem, keyPEM) = (value(.certificate), value(.key))
    let stored = Key.all(in: "auth.mtls.storage").first { value($0) != nil }
    let hasFiles = file != nil || keyFile != nil
    let hasText = pem != nil || keyPEM != nil
    if hasFiles, hasText {
      throw ConfigError(
        .invalidConfig,
        "\(certificateSetting): certificateFile and keyFile exclude certificate and key; leave one pair out")
    }
    if let stored, hasFiles || hasText {
      throw ConfigError(
        .invalidConfig, "\(named(stored)): mTLS storage cannot be combined with a certificate and key beside it")
    }
    if hasFiles {
      guard let file, let keyFile else { throw incomplete("auth.mtls.certificateFile and auth.mtls.keyFile") }
      return .files(certificate: file, key: keyFile)
    }
    if hasText {
      guard let pem, let keyPEM else { throw incomplete("auth.mtls.certificate and auth.mtls.key") }
      return .inline(certificate: pem, key: keyPEM)
    }
    guard let stored else { return nil }
    switch value(.storageKind) {
    case "exec": return .exec(try execIdentity())
    case "pkcs11": return .pkcs11(try pkcs11Identity())
    default: throw unsupportedStorage(stored)
    }
  }

  /// The client certificate for a message.
  var certificateSetting: String {
    named(Key.allCases.first { $0.isCertificate && value($0) != nil } ?? .certificateFile)
  }

  private func incomplete(_ pair: String) -> ConfigError {
    ConfigError(.mtlsIncomplete, "\(certificateSetting): \(pair) are both required, only one of them is set")
  }

  private func unsupportedStorage(_ first: Key) -> ConfigError {
    guard let kind = value(.storageKind) else {
      return ConfigError(.unsupportedMTLSStorage, "\(named(first)): auth.mtls.storage.kind is required")
    }
    return ConfigError(
      .unsupportedMTLSStorage,
      "\(named(.storageKind)): the mTLS storage \(kind.quoted()) is not supported by this build; "
        + "use certificateFile and keyFile, or kind exec with a program that asks for the signature")
  }
}
