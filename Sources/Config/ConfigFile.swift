// SPDX-License-Identifier: Apache-2.0
import Glibc

/// config.yaml, schema version 1: contexts to choose from, and what belongs to the control planes they are managed by.
struct ConfigFile {
  static let maximumSize = 1 << 20
  static let version = 1

  struct Context {
    let name: String
    /// The control plane that manages the context; nothing for an engine of one's own.
    let apiURL: APIURL?
    let section: ConfigSection
  }

  struct Environment {
    let apiURL: APIURL
    let headers: HeaderList
    let section: ConfigSection
  }

  /// For messages.
  let path: String
  private(set) var defaultContext: Located<String>?
  private(set) var contexts: [Context] = []
  private(set) var environments: [Environment] = []

  /// Reads a file; one that does not exist is like an empty one.
  init(path: String, _ notes: inout ConfigNotes) throws(ConfigError) {
    try self.init(try ConfigFile.read(path), path: path, &notes)
  }

  static func read(_ path: String) throws(ConfigError) -> [UInt8] {
    do { return try SmallFile.read(path, limit: maximumSize) } catch {
      guard case .unreadable(ENOENT) = error.kind else { throw error }
      return []
    }
  }

  init(_ bytes: [UInt8], path: String, _ notes: inout ConfigNotes) throws(ConfigError) {
    self.path = path
    guard let root = try YAMLDocument(bytes, file: path, .sharing).root, !root.isNull else { return }
    guard case .mapping(let members) = root.content else {
      notes.add("\(path):\(root.line): ignored, because it has no sections such as contexts and defaults")
      return
    }
    let file = try ConfigSection(members, file: path, path: "", line: root.line)
    if let version = try file.number("version"), version.value > ConfigFile.version {
      notes.add("\(version.place): newer than version \(ConfigFile.version), which is what is understood here")
    }
    defaultContext = try file.section("defaults", &notes)?.section("context", &notes)?.text("name", &notes)
    for section in try file.sections("contexts", &notes) {
      let url = try ConfigFile.apiURL(section, &notes)
      guard let name = section.text("name", &notes) else {
        notes.add("\(section.place("name")): missing, so that the context is ignored")
        continue
      }
      contexts.append(Context(name: name.value, apiURL: url, section: section))
    }
    for section in try file.sections("environments", &notes) {
      let headers = try section.headers("headers", .controlPlane)
      guard let url = try ConfigFile.apiURL(section, &notes) else {
        notes.add("\(section.place("apiUrl")): missing, so that the environment is ignored")
        continue
      }
      environments.append(Environment(apiURL: url, headers: headers?.value ?? .none, section: section))
    }
  }

  private static func apiURL(_ section: ConfigSection, _ notes: inout ConfigNotes) throws(ConfigError) -> APIURL? {
    guard let text = section.text("apiUrl", &notes) else { return nil }
    do { return try APIURL(text.value) } catch { throw error.at(text.place) }
  }

  func environment(of url: APIURL) -> Environment? {
    environments.first { $0.apiURL.text == url.text }
  }

  /// The context of that name. With a control plane that was asked for, that control plane's, or else one that belongs to
  /// none.
  func context(named name: Located<String>, for url: APIURL?) throws(ConfigError) -> Context {
    let named = contexts.filter { $0.name == name.value }
    let mine = url.map { url in named.filter { $0.apiURL?.text == url.text } } ?? named
    let candidates = mine.isEmpty && url != nil ? named.filter { $0.apiURL == nil } : mine
    if let found = candidates.first {
      guard candidates.count == 1 else { throw ambiguity(name, candidates, url) }
      return found
    }
    if let other = named.first?.apiURL, let url {
      throw ConfigError(
        .contextNotFound,
        "\(name.place): the context \(name.value.quoted()) belongs to \(other.text), not to \(url.text); "
          + "set apiUrl or RSTREAM_API_URL to it, or choose another context")
    }
    throw unknown(name)
  }

  func unknown(_ name: Located<String>) -> ConfigError {
    let known = contexts.isEmpty ? "it has none" : "it has \(contexts.map { $0.name.quoted() }.joined(separator: ", "))"
    return ConfigError(
      .contextNotFound, "\(name.place): there is no context \(name.value.quoted()) in \(path); \(known)")
  }

  private func ambiguity(_ name: Located<String>, _ found: [Context], _ url: APIURL?) -> ConfigError {
    let lines = found.map { String($0.section.line) }.joined(separator: ", ")
    let advice = url == nil ? "set apiUrl or RSTREAM_API_URL to the one that is meant" : "rename one of them"
    return ConfigError(
      .contextAmbiguous,
      "\(name.place): \(path) has several contexts \(name.value.quoted()), in lines \(lines); \(advice)")
  }
}
