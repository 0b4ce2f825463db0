// SPDX-License-Identifier: Apache-2.0

/// The names of one kind of settings: raw values are the names that callers use.
protocol SettingKey: RawRepresentable<String>, CaseIterable, Hashable, Sendable {
  var form: SettingForm { get }
  var defaultValue: String? { get }
}

/// Named strings, each checked against its form when it is set, so that typed accessors can rely on them.
struct SettingTable<Key: SettingKey>: Sendable {
  private var values: [Key: String] = [:]

  static func key(named name: String) throws(ConfigError) -> Key {
    guard let key = Key(rawValue: name) else {
      throw ConfigError(.invalidConfig, "unknown setting \(name.quoted()); known are \(names(near: name))")
    }
    return key
  }

  mutating func set(_ name: String, _ value: String?) throws(ConfigError) {
    let key = try SettingTable.key(named: name)
    do { try set(key, value) } catch { throw error.at(name) }
  }

  mutating func set(_ key: Key, _ value: String?) throws(ConfigError) {
    if let value { try key.form.check(value) }
    values[key] = value
  }

  /// What was set, without the default.
  func given(_ key: Key) -> String? { values[key] }

  func text(_ key: Key) -> String? { values[key] ?? key.defaultValue }

  func flag(_ key: Key) -> Bool { text(key) == "true" }

  func number(_ key: Key) -> Int { text(key)?.wholeNumber() ?? 0 }

  /// The names of the section that an unknown name is in, which is mostly where the mistyped one is.
  private static func names(near name: String) -> String {
    let section = name.split(separator: ".").dropLast().joined(separator: ".")
    let known = Key.allCases.map(\.rawValue)
    let near = known.filter { $0.hasPrefix("\(section).") }
    return (near.isEmpty ? known : near).joined(separator: ", ")
  }
}
