// SPDX-License-Identifier: Apache-2.0

/// A context of the configuration file, as a list shows it.
public struct ContextSummary: Sendable {
  public let name: String
  /// Nothing for an engine of one's own.
  public let apiURL: String?
  public let engine: String?
  public let projectEndpoint: String?
  public let region: String?
  /// Whether a client gets this context.
  public let isSelected: Bool
}

extension ClientSettings {
  /// The path of the configuration file: what is set, else RSTREAM_CONFIG, else the one in the home directory.
  public func configurationPath(_ lookup: (String) -> String?, home: String?) -> String? {
    given.given(.configFile) ?? ClientSettingsLoader.variable("RSTREAM_CONFIG", lookup)
      ?? home.map { "\($0)/.rstream/config.yaml" }
  }

  /// The contexts of the configuration file in their order.
  public func contexts(_ lookup: (String) -> String?, home: String?) throws(ConfigError) -> [ContextSummary] {
    var notes = ConfigNotes()
    guard let path = configurationPath(lookup, home: home) else { return [] }
    let file = try ConfigFile(path: path, &notes)
    var loader = ClientSettingsLoader(given: given, file: file)
    // What cannot be resolved selects nothing; the list is there to see why.
    let selected = try? loader.selection(lookup)
    return file.contexts.map { context in
      func text(_ key: ClientSettingKey) -> String? { context.section.text(key.rawValue, &notes)?.value }
      return ContextSummary(
        name: context.name, apiURL: context.apiURL?.text, engine: text(.engine),
        projectEndpoint: text(.projectEndpoint), region: text(.region),
        isSelected: selected.map { $0.section.line == context.section.line && $0.name == context.name } ?? false)
    }
  }

  /// Makes a context the default one in the configuration file.
  public func useContext(_ name: String, _ lookup: (String) -> String?, home: String?) throws(ConfigError) {
    guard let path = configurationPath(lookup, home: home) else {
      throw ConfigError(
        .invalidConfig, "there is no home directory to find .rstream/config.yaml in; set RSTREAM_CONFIG")
    }
    let name = name.trimmed()
    try ConfigFileLock.holding(path) { () throws(ConfigError) in
      var notes = ConfigNotes()
      let bytes = try ConfigFile.read(path)
      let file = try ConfigFile(bytes, path: path, &notes)
      guard file.contexts.contains(where: { $0.name == name }) else {
        throw file.unknown(Located(value: name, place: "use context"))
      }
      try ConfigFileReplacement.write(try ConfigFileEdit(bytes, path: path).withDefaultContext(name), to: path)
    }
  }
}
