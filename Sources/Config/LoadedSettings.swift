// SPDX-License-Identifier: Apache-2.0

/// Settings from the environment and the configuration file, each with the place that it comes from.
struct LoadedSettings: Sendable {
  enum Source: Sendable {
    /// An environment variable: as explicit as what the caller sets.
    case variable(String)
    case file(place: String)

    var place: String {
      switch self {
      case .variable(let name): name
      case .file(let place): place
      }
    }
  }

  private var entries: [ClientSettingKey: (value: String, source: Source)] = [:]

  /// The engine that a stored identity belongs to: that of the context, even when another one is used.
  var contextEngine: EngineAddress?

  func value(_ key: ClientSettingKey) -> String? { entries[key]?.value }

  func place(_ key: ClientSettingKey) -> String? { entries[key]?.source.place }

  /// Whether the value is from the file, and thereby an identity one that is stored.
  func isStored(_ key: ClientSettingKey) -> Bool {
    guard case .file = entries[key]?.source else { return false }
    return true
  }

  /// Whether the value is from an environment variable.
  func isVariable(_ key: ClientSettingKey) -> Bool {
    guard case .variable = entries[key]?.source else { return false }
    return true
  }

  var storesCertificate: Bool { ClientSettingKey.allCases.contains { $0.isCertificate && isStored($0) } }

  mutating func put(_ key: ClientSettingKey, _ value: String, _ source: Source) throws(ConfigError) {
    do { try key.form.check(value) } catch { throw error.at(source.place) }
    entries[key] = (value, source)
  }

  mutating func remove(_ key: ClientSettingKey) { entries[key] = nil }

  /// Forgets the client certificate and a stored token: a certificate that the caller gives takes the place of both.
  mutating func removeIdentity() {
    for key in ClientSettingKey.allCases where key.isCertificate { entries[key] = nil }
    if isStored(.token) { entries[.token] = nil }
  }
}
