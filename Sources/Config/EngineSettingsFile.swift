// SPDX-License-Identifier: Apache-2.0

extension EngineSettings {
  public static let maximumFileSize = 1 << 20

  /// Reads a YAML configuration file over what is set already. Nothing changes when the file has an error.
  public mutating func loadFile(_ path: String) throws(ConfigError) {
    try load(yaml: try SmallFile.read(path, limit: EngineSettings.maximumFileSize), file: path)
  }

  /// The same for text that was read already; errors begin with `file` and the line.
  public mutating func load(yaml bytes: [UInt8], file: String) throws(ConfigError) {
    guard let root = try YAMLDocument(bytes, file: file).root, !root.isNull else { return }
    var loader = EngineSettingsLoader(file: file, settings: self)
    try loader.apply(root)
    self = loader.settings
  }
}

/// Walks sections and applies what is in them under dotted names.
private struct EngineSettingsLoader {
  let file: String
  var settings: EngineSettings
  private var seen: Set<String> = []

  init(file: String, settings: EngineSettings) {
    self.file = file
    self.settings = settings
  }

  mutating func apply(_ root: YAMLNode) throws(ConfigError) {
    guard case .mapping(let members) = root.content else {
      throw failure(root, "expected sections such as engine, tls and auth")
    }
    try apply(members, under: "")
  }

  private mutating func apply(_ members: [YAMLMember], under prefix: String) throws(ConfigError) {
    for member in members {
      let (key, value) = (member.key, member.value)
      guard case .scalar(let last, _) = key.content else {
        throw failure(key, "the name of a setting must be plain text")
      }
      let name = prefix + last
      guard seen.insert(name).inserted else { throw failure(key, "\(name): set twice") }
      if EngineSettings.names.contains(where: { $0.hasPrefix("\(name).") }) {
        try applySection(name, value)
      } else {
        do { try settings.set(name, try text(of: value, for: name)) } catch {
          throw error.at("\(file):\(key.line)")
        }
      }
    }
  }

  private mutating func applySection(_ name: String, _ value: YAMLNode) throws(ConfigError) {
    if value.isNull { return }
    guard case .mapping(let members) = value.content else {
      throw failure(value, "\(name): expected a section with settings in it")
    }
    try apply(members, under: "\(name).")
  }

  /// A value as the text that `set` takes: YAML lists become comma-separated.
  private func text(of value: YAMLNode, for name: String) throws(ConfigError) -> String? {
    let key = try SettingTable<EngineSettings.Key>.key(named: name)
    switch value.content {
    case .scalar(let text, _):
      return value.isNull ? nil : text
    case .mapping:
      throw ConfigError(.invalidConfig, "\(name): expected a value, not a section")
    case .sequence(let elements):
      guard key.form.isList else { throw ConfigError(.invalidConfig, "\(name): expected one value, not a list") }
      var texts: [String] = []
      for element in elements {
        guard case .scalar(let text, _) = element.content, !element.isNull, !text.utf8.contains(UInt8(ascii: ","))
        else { throw ConfigError(.invalidConfig, "\(name): expected a list of plain values without commas") }
        texts.append(text)
      }
      return texts.isEmpty ? nil : texts.joined(separator: ",")
    }
  }

  private func failure(_ node: YAMLNode, _ why: String) -> ConfigError {
    ConfigError(.invalidConfig, "\(file):\(node.line): \(why)")
  }
}
