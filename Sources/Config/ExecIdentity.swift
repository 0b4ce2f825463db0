// SPDX-License-Identifier: Apache-2.0

/// A program that shows a client certificate and signs with its private key: mTLS storage of the kind exec.
public struct ExecIdentity: Equatable, Sendable {
  /// An absolute path.
  public let command: String
  public let arguments: [String]
  public let timeoutMilliseconds: Int
  public let maximumConcurrency: Int
  /// The environment variables that the program gets.
  public let passedVariables: [String]
  /// SHA-256 of the certificate, 32 bytes.
  public let certificateDigest: [UInt8]

  public static let maximumArguments = 128
  public static let maximumArgumentBytes = 65_536
  public static let maximumVariables = 128
}

extension ClientSettings {
  func execIdentity() throws(ConfigError) -> ExecIdentity {
    let own = Key.all(in: "auth.mtls.storage.exec") + [.storageKind, .storageCertificateDigest]
    if let foreign = Key.all(in: "auth.mtls.storage").first(where: { value($0) != nil && !own.contains($0) }) {
      throw refusal(foreign, "not for mTLS storage of the kind exec; unset it")
    }
    guard let digest = value(.storageCertificateDigest) else {
      throw refusal(.storageCertificateDigest, "required for mTLS storage of the kind exec")
    }
    guard let bytes = HexadecimalText.bytes(digest), bytes.count == 32 else {
      throw refusal(.storageCertificateDigest, "expected 64 hexadecimal digits")
    }
    guard let command = value(.execCommand) else {
      throw refusal(.execCommand, "required for mTLS storage of the kind exec")
    }
    guard command.hasPrefix("/") else { throw refusal(.execCommand, "expected an absolute path") }
    let arguments = strings(.execArguments)
    guard arguments.count <= ExecIdentity.maximumArguments,
      arguments.reduce(0, { $0 + $1.utf8.count }) <= ExecIdentity.maximumArgumentBytes,
      !arguments.contains(where: { $0.utf8.contains(0) })
    else { throw refusal(.execArguments, "at most 128 arguments of 64 KiB together, without NUL") }
    let timeout = DurationText.milliseconds(text(.execTimeout) ?? "") ?? 0
    guard (1...60_000).contains(timeout) else { throw refusal(.execTimeout, "expected more than 0 and at most 1m") }
    let variables = strings(.execPassedVariables)
    guard variables.count <= ExecIdentity.maximumVariables, variables.allSatisfy(isVariableName) else {
      throw refusal(.execPassedVariables, "at most 128 names of environment variables")
    }
    return ExecIdentity(
      command: command, arguments: arguments, timeoutMilliseconds: timeout,
      maximumConcurrency: max(number(.execMaximumConcurrency), 1), passedVariables: variables,
      certificateDigest: bytes)
  }

  private func strings(_ key: Key) -> [String] {
    guard let text = value(key) else { return [] }
    var reader = JSONReader(Array(text.utf8))
    return reader.list() ?? []
  }
}
