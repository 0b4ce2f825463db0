// SPDX-License-Identifier: Apache-2.0

extension ClientSettings {
  /// Fills in, below what the caller has set, what the environment and the configuration file say, in place of what was
  /// loaded before. Environment variables are trimmed, blank ones count as absent. Nothing changes when there is an error.
  ///
  /// - Parameters:
  ///   - lookup: the environment
  ///   - home: the directory with .rstream/config.yaml
  /// - Returns: what was ignored and why, for the log
  public mutating func load(_ lookup: (String) -> String?, home: String?) throws(ConfigError) -> [String] {
    var notes = ConfigNotes()
    guard let path = configurationPath(lookup, home: home) else {
      try load(lookup, from: nil, &notes)
      return notes.texts
    }
    try load(lookup, from: try ConfigFile(path: path, &notes), &notes)
    return notes.texts
  }

  /// The same with a file that was read already; `path` is for messages.
  public mutating func load(_ lookup: (String) -> String?, yaml: [UInt8], path: String) throws(ConfigError) -> [String]
  {
    var notes = ConfigNotes()
    try load(lookup, from: try ConfigFile(yaml, path: path, &notes), &notes)
    return notes.texts
  }

  private mutating func load(
    _ lookup: (String) -> String?, from file: ConfigFile?, _ notes: inout ConfigNotes
  ) throws(ConfigError) {
    var loader = ClientSettingsLoader(given: given, file: file)
    try loader.load(lookup, &notes)
    var result = self
    result.loaded = loader.loaded
    try result.checkStoredIdentity()
    self = result
  }
}

/// One pass over environment and configuration file.
struct ClientSettingsLoader {
  typealias Key = ClientSettingKey
  typealias Lookup = (String) -> String?

  let given: SettingTable<Key>
  let file: ConfigFile?
  var loaded = LoadedSettings()

  init(given: SettingTable<Key>, file: ConfigFile?) {
    self.given = given
    self.file = file
  }

  mutating func load(_ lookup: Lookup, _ notes: inout ConfigNotes) throws(ConfigError) {
    try loadVariables(lookup)
    let context = try selectedContext()
    var url = try explicitURL() ?? context?.apiURL
    if url == nil { url = try APIURL(Key.apiURL.defaultValue ?? "") }
    // An engine of one's own has nothing to do with a control plane.
    let isUnlinked = context != nil && context?.apiURL == nil
    let environment = isUnlinked ? nil : url.flatMap { file?.environment(of: $0) }
    if let context { try load(context, &notes) }
    try loadIdentity(context?.section, environment?.section, &notes)
    if let environment, !environment.headers.headers.isEmpty { try loadHeaders(environment) }
    if let context { try loadTransport(context.section, environment?.section, &notes) }
  }

  /// The context that variables and settings choose.
  mutating func selection(_ lookup: Lookup) throws(ConfigError) -> ConfigFile.Context? {
    try loadVariables(lookup)
    return try selectedContext()
  }

  /// The control plane that is asked for.
  private func explicitURL() throws(ConfigError) -> APIURL? {
    guard let text = given.given(.apiURL) ?? loaded.value(.apiURL) else { return nil }
    return try APIURL(text)
  }

  /// The value of a variable without the white space around it; nothing for a blank one.
  static func variable(_ name: String, _ lookup: Lookup) -> String? {
    guard let value = lookup(name)?.trimmed(), !value.isEmpty else { return nil }
    return value
  }

  // MARK: Environment variables

  private mutating func loadVariables(_ lookup: Lookup) throws(ConfigError) {
    let plain: [(Key, String)] = [
      (.configFile, "RSTREAM_CONFIG"), (.apiURL, "RSTREAM_API_URL"), (.context, "RSTREAM_CONTEXT"),
      (.token, "RSTREAM_AUTHENTICATION_TOKEN"), (.region, "RSTREAM_REGION"),
      (.headers, "RSTREAM_CONTROL_PLANE_HEADERS"), (.caFile, "RSTREAM_CA_FILE"),
    ]
    for (key, name) in plain where key == .headers || given.given(key) == nil {
      guard let value = ClientSettingsLoader.variable(name, lookup) else { continue }
      try loaded.put(key, value, .variable(name))
    }
    // An empty RSTREAM_ENGINE hides the other name.
    let engine = lookup("RSTREAM_ENGINE") == nil ? "RSTREAM_ENGINE_ADDRESS" : "RSTREAM_ENGINE"
    if given.given(.engine) == nil, let value = ClientSettingsLoader.variable(engine, lookup) {
      try loaded.put(.engine, value, .variable(engine))
    }
    try loadMode(lookup)
    try loadCertificatePair(lookup)
  }

  private mutating func loadMode(_ lookup: Lookup) throws(ConfigError) {
    guard given.given(.mode) == nil else { return }
    let (current, legacy) = ("RSTREAM_TUNNEL_TRANSPORT", "RSTREAM_QUIC_TRANSPORT")
    if let value = ClientSettingsLoader.variable(current, lookup) {
      try loaded.put(.mode, value, .variable(current))
    } else if let value = ClientSettingsLoader.variable(legacy, lookup) {
      try loaded.put(.mode, value == "1" ? "quic" : "tls", .variable(legacy))
    }
  }

  /// A client certificate is taken as a whole: when the caller gives one, the environment's is left alone.
  private mutating func loadCertificatePair(_ lookup: Lookup) throws(ConfigError) {
    guard !hasGivenCertificate else { return }
    let names = ["RSTREAM_MTLS_CERT_FILE", "RSTREAM_MTLS_KEY_FILE"]
    let certificate = ClientSettingsLoader.variable(names[0], lookup)
    let key = ClientSettingsLoader.variable(names[1], lookup)
    guard let certificate, let key else {
      guard certificate == nil, key == nil else {
        throw ConfigError(
          .mtlsIncomplete, "\(names[0]) and \(names[1]): mTLS certificate and key files are both required")
      }
      return
    }
    try loaded.put(.certificateFile, certificate, .variable(names[0]))
    try loaded.put(.keyFile, key, .variable(names[1]))
  }

  var hasGivenCertificate: Bool { Key.allCases.contains { $0.isCertificate && given.given($0) != nil } }

  // MARK: The context

  private func selectedContext() throws(ConfigError) -> ConfigFile.Context? {
    var name: Located<String>?
    if let set = given.given(.context) {
      name = Located(value: set.trimmed(), place: "context")
    } else if let variable = loaded.value(.context) {
      name = Located(value: variable, place: "RSTREAM_CONTEXT")
    } else if given.given(.ignoreDefaultContext) != "true" {
      name = file?.defaultContext
    }
    guard let name else { return nil }
    guard let file else {
      throw ConfigError(
        .contextNotFound, "\(name.place): there is no configuration file to find \(name.value.quoted()) in")
    }
    return try file.context(named: name, for: try explicitURL())
  }

  private mutating func load(_ context: ConfigFile.Context, _ notes: inout ConfigNotes) throws(ConfigError) {
    if given.given(.context) == nil, loaded.value(.context) == nil {
      try loaded.put(.context, context.name, .file(place: context.section.place("name")))
    }
    if let url = context.apiURL, given.given(.apiURL) == nil, loaded.value(.apiURL) == nil {
      try loaded.put(.apiURL, url.text, .file(place: context.section.place("apiUrl")))
    }
    if let engine = context.section.text("engine", &notes) {
      loaded.contextEngine = try? EngineAddress(engine.value)
    }
    for key: Key in [.engine, .projectEndpoint, .region, .turnDomain, .turnRealm, .turnPort, .turnsPort] {
      try load(key, from: [context.section], key.rawValue, &notes)
    }
  }

  private mutating func loadHeaders(_ environment: ConfigFile.Environment) throws(ConfigError) {
    let place = environment.section.place("headers")
    guard let variable = loaded.value(.headers) else {
      return try loaded.put(.headers, environment.headers.json, .file(place: place))
    }
    let merged = environment.headers.merging(try HeaderList(json: variable, .controlPlane))
    try loaded.put(.headers, merged.json, .variable("RSTREAM_CONTROL_PLANE_HEADERS"))
  }

  // MARK: Transport

  /// What the context says lies over what the environment of its control plane says, value by value.
  private mutating func loadTransport(
    _ context: ConfigSection, _ environment: ConfigSection?, _ notes: inout ConfigNotes
  ) throws(ConfigError) {
    var sections: [ConfigSection] = []
    for owner in [context, environment] {
      if let section = try owner?.section("transport", &notes) { sections.append(section) }
    }
    for key in Key.all(in: "transport") where key != .mode && key != .proxyHeaders {
      try load(key, from: sections, String(key.rawValue.dropFirst("transport.".count)), &notes)
    }
    try loadProxyHeaders(sections, &notes)
    guard given.given(.mode) == nil, loaded.value(.mode) == nil else { return }
    for section in sections {
      if section.has("mode") {
        guard let mode = section.text("mode", &notes) else {
          throw section.failure("mode", "expected auto, tls or quic")
        }
        return try loaded.put(.mode, mode.value, .file(place: mode.place))
      }
      if let usesQUIC = try section.flag("useQuic") {
        return try loaded.put(.mode, usesQUIC.value ? "quic" : "tls", .file(place: usesQUIC.place))
      }
    }
  }

  private mutating func loadProxyHeaders(_ sections: [ConfigSection], _ notes: inout ConfigNotes) throws(ConfigError) {
    var headers = HeaderList.none
    var place: String?
    for section in sections {
      guard let found = try section.section("proxy", &notes)?.headers("headers", .proxy) else { continue }
      headers = found.value.merging(headers)
      place = place ?? found.place
    }
    if let place, !headers.headers.isEmpty { try loaded.put(.proxyHeaders, headers.json, .file(place: place)) }
  }

  // MARK: Values

  /// Takes the first of the sections' values for a setting; `path` leads there from the section.
  mutating func load(
    _ key: Key, from sections: [ConfigSection], _ path: String, _ notes: inout ConfigNotes
  ) throws(ConfigError) {
    guard given.given(key) == nil, loaded.value(key) == nil else { return }
    let names = path.split(separator: ".").map { String($0) }
    guard let last = names.last else { return }
    for section in sections {
      var inner: ConfigSection? = section
      for name in names.dropLast() { inner = try inner?.section(name, &notes) }
      guard let inner, let value = try text(of: key, last, in: inner, &notes) else { continue }
      return try loaded.put(key, value.value, .file(place: value.place))
    }
  }

  /// A value of the file as the text that `rstream_config_set` takes.
  private func text(
    of key: Key, _ name: String, in section: ConfigSection, _ notes: inout ConfigNotes
  ) throws(ConfigError) -> Located<String>? {
    switch key.form {
    case .flag:
      guard let flag = try section.flag(name) else { return nil }
      return Located(value: flag.value ? "true" : "false", place: flag.place)
    case .number:
      guard let number = try section.number(name) else { return nil }
      return Located(value: String(number.value), place: number.place)
    case .list:
      guard let texts = try section.texts(name) else { return nil }
      return Located(value: JSONText.list(texts.value), place: texts.place)
    case .choice(let choices):
      guard let text = section.text(name, &notes) else { return nil }
      guard choices.contains(text.value) else {
        notes.add("\(text.place): ignored, because it is none of \(choices.joined(separator: ", "))")
        return nil
      }
      return text
    default:
      return section.text(name, &notes, isAnything: key.isCertificate)
    }
  }
}
