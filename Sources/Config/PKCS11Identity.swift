// SPDX-License-Identifier: Apache-2.0

/// A private key on a cryptographic token: mTLS storage of the kind pkcs11.
public struct PKCS11Identity: Equatable, Sendable {
  public enum Token: Equatable, Sendable {
    case label(String)
    case serial(String)
    case slot(UInt)
  }

  public enum Object: Equatable, Sendable {
    case label(String)
    case id([UInt8])
  }

  public enum Certificate: Equatable, Sendable {
    /// PEM.
    case text(String)
    /// PEM.
    case file(String)
    case onToken(Object)
  }

  /// The library that comes with the token.
  public let module: String
  public let token: Token
  public let key: Object
  public let certificate: Certificate
  /// The environment variable with the PIN.
  public let pinVariable: String
  /// 0: the usual number.
  public let maximumSessions: Int
}

extension ClientSettings {
  func pkcs11Identity() throws(ConfigError) -> PKCS11Identity {
    let foreign = Key.all(in: "auth.mtls.storage.exec") + [.storageProvider, .storageCertificateDigest]
    if let key = foreign.first(where: { value($0) != nil }) {
      throw refusal(key, "not for mTLS storage of the kind pkcs11; unset it")
    }
    guard let module = value(.storageModule) else { throw missing(.storageModule) }
    let token = try onlyOne(of: [.storageTokenLabel, .storageTokenSerial, .storageSlot])
    let key = try onlyOne(of: [.storageKeyLabel, .storageKeyID])
    let certificate = try onlyOne(of: [
      .storageCertificate, .storageCertificateFile, .storageCertificateLabel, .storageCertificateID,
    ])
    guard let variable = value(.storagePINVariable)?.trimmed() else { throw missing(.storagePINVariable) }
    guard isVariableName(variable) else {
      throw refusal(.storagePINVariable, "expected the name of an environment variable")
    }
    return PKCS11Identity(
      module: module, token: storedToken(token), key: try storedObject(key),
      certificate: try storedCertificate(certificate), pinVariable: variable,
      maximumSessions: number(.storageMaximumSessions))
  }

  private func storedToken(_ setting: (key: Key, text: String)) -> PKCS11Identity.Token {
    switch setting.key {
    case .storageSlot: .slot(UInt(number(.storageSlot)))
    case .storageTokenSerial: .serial(setting.text)
    default: .label(setting.text)
    }
  }

  private func storedObject(_ setting: (key: Key, text: String)) throws(ConfigError) -> PKCS11Identity.Object {
    guard [.storageKeyID, .storageCertificateID].contains(setting.key) else { return .label(setting.text) }
    guard let bytes = HexadecimalText.bytes(setting.text) else {
      throw refusal(setting.key, "expected hexadecimal digits")
    }
    return .id(bytes)
  }

  private func storedCertificate(
    _ setting: (key: Key, text: String)
  ) throws(ConfigError) -> PKCS11Identity.Certificate {
    switch setting.key {
    case .storageCertificate: .text(setting.text)
    case .storageCertificateFile: .file(setting.text)
    default: .onToken(try storedObject(setting))
    }
  }

  private func onlyOne(of keys: [Key]) throws(ConfigError) -> (key: Key, text: String) {
    let given = keys.filter { value($0) != nil }
    guard let first = given.first, let text = value(first) else {
      let names = keys.map(\.rawValue).joined(separator: ", ")
      throw ConfigError(
        .invalidConfig, "\(named(.storageKind)): mTLS storage of the kind pkcs11 requires one of \(names)")
    }
    guard given.count == 1 else {
      throw refusal(given[1], "excludes \(first.rawValue); leave one of them out")
    }
    return (first, text)
  }

  private func missing(_ key: Key) -> ConfigError {
    refusal(key, "required for mTLS storage of the kind pkcs11")
  }

  func refusal(_ key: Key, _ why: String) -> ConfigError {
    ConfigError(.invalidConfig, "\(named(key)): \(why)")
  }

  func isVariableName(_ name: String) -> Bool {
    guard let first = name.utf8.first, !isDigit(first) else { return false }
    return name.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "_") }
  }
}
