// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import RstreamConfig

@Suite struct EngineSettingsTests {
  private func load(_ yaml: String) throws -> EngineSettings {
    var settings = EngineSettings()
    try settings.load(yaml: Array(yaml.utf8), file: "edge.yaml")
    return settings
  }

  private func message(_ yaml: String) -> String {
    do { _ = try load(yaml) } catch {
      return (error as? ConfigError)?.message ?? ""
    }
    return ""
  }

  @Test func namesAndDefaultsAreThoseOfTheHeader() {
    let rows = HeaderTable.rows("engine.h")
    let settings = EngineSettings()
    #expect(rows.map { $0[0] } == EngineSettings.names)
    for row in rows {
      #expect(settings.get(row[0]) == (["-", "(tls)", "(host)"].contains(row[1]) ? nil : row[1]), "\(row[0])")
    }
  }

  @Test func readsAFile() throws {
    let settings = try load(
      """
      # a comment
      engine:
        host: Edge.Example.com
        log_level: debug
      tls: {enabled: true, listen_addr: "[::1]:8443"}
      http:
      certs:
        static:
          cert_file: /etc/edge.pem
          key_file: /etc/edge.key
      auth:
        open: null
        tokens:
          - one
          - "two"
        jwt:
          enabled: true
          token_jwt_secret: 0123456789abcdef0123456789abcdef
      tcp:
        port_range: 40000-40010
      metrics:
        prometheus:
          enabled: true
          listen_addr: 127.0.0.2:9100
          path: numbers
      timeouts:
        drain_seconds: 0
      """)
    #expect(settings.host == "edge.example.com")
    #expect(settings.logLevel == "debug")
    #expect(settings.tlsListen?.host == "::1")
    #expect(settings.tlsListen?.port == 8443)
    #expect(settings.certificate == .files(certificate: "/etc/edge.pem", key: "/etc/edge.key"))
    #expect(settings.tokens == ["one", "two"])
    #expect(settings.jwtSecret?.utf8.count == 32)
    #expect(settings.tcpPortRange?.first == 40000)
    #expect(settings.tcpPortRange?.last == 40010)
    #expect(settings.metricsEnabled)
    #expect(settings.metricsListen?.isLoopback == true)
    #expect(settings.metricsPath == "/numbers")
    #expect(settings.drainSeconds == 0)
    #expect(settings.httpIdleSeconds == 90)
    try settings.validate()
  }

  @Test(arguments: ["", "\n", "# nothing\n", "---\n", "~", "{}"])
  func emptyFilesChangeNothing(yaml: String) throws {
    #expect(try load(yaml).get("tls.listen_addr") == ":443")
  }

  @Test(arguments: [
    ("engine:\n  host: e\ntls:\n  listen: :1\n", "edge.yaml:4: unknown setting \"tls.listen\""),
    ("statistics:\n  prometheus:\n    enabled: true\n", "edge.yaml:1: unknown setting \"statistics\""),
    ("tls: true\n", "edge.yaml:1: tls: expected a section"),
    ("engine:\n  host: [a, b]\n", "edge.yaml:2: engine.host: expected one value"),
    ("engine:\n  host:\n    name: x\n", "edge.yaml:2: engine.host: expected a value"),
    ("engine:\n  host: e\nengine:\n  log_level: info\n", "edge.yaml:3: engine: set twice"),
    ("tls:\n  enabled: true\n  enabled: false\n", "edge.yaml:3: tls.enabled: set twice"),
    ("tls:\n  enabled: maybe\n", "edge.yaml:2: tls.enabled: \"maybe\" is neither true nor false"),
    ("a: &x 1\nb: *x\n", "edge.yaml:1: anchors, aliases and tags"),
    ("engine:\n  host: !!str e\n", "edge.yaml:2: anchors, aliases and tags"),
    ("- a\n", "edge.yaml:1: expected sections"),
    ("engine: {}\n---\nengine: {}\n", "only one document"),
    ("engine: {host: e\n", "edge.yaml:"),
    ("? [a]\n: b\n", "edge.yaml:1: the name of a setting"),
    ("auth:\n  tokens: [\"a,b\"]\n", "edge.yaml:2: auth.tokens: expected a list of plain values"),
    ("auth:\n  tokens: [[a]]\n", "edge.yaml:2: auth.tokens: expected a list of plain values"),
    ("auth:\n  tokens: short-secret and more\n", "edge.yaml:2: auth.tokens: expected tokens"),
  ])
  func errorsNameFileLineAndKey(yaml: String, expected: String) {
    let message = message(yaml)
    #expect(message.contains(expected), "\(message)")
    #expect(!message.contains("short-secret"))
  }

  @Test func nestingIsBounded() {
    #expect(message(String(repeating: "[", count: 5000)).contains("nested deeper"))
  }

  @Test func anErrorChangesNothing() {
    var settings = EngineSettings()
    #expect(throws: ConfigError.self) {
      try settings.load(yaml: Array("engine: {host: other}\nbad: 1\n".utf8), file: "f")
    }
    #expect(settings.host == "localhost")
  }

  @Test func filesAreReadWithALimit() throws {
    var template = Array("/tmp/rstream-settings-XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    defer { close(descriptor) }
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { unlink(path) }
    let text = "engine: {host: from.file}\n"
    #expect(write(descriptor, text, text.utf8.count) == text.utf8.count)
    var settings = EngineSettings()
    try settings.loadFile(path)
    #expect(settings.host == "from.file")

    #expect(ftruncate(descriptor, EngineSettings.maximumFileSize + 1) == 0)
    do {
      try settings.loadFile(path)
      Issue.record("accepted")
    } catch { #expect(error.message.contains("larger than")) }
  }

  @Test func missingFilesTellWhy() {
    var settings = EngineSettings()
    do {
      try settings.loadFile("/nonexistent/edge.yaml")
      Issue.record("accepted")
    } catch {
      #expect(error.kind == .unreadable(ENOENT))
      #expect(error.message == "read /nonexistent/edge.yaml: No such file or directory")
    }
    do {
      try settings.loadFile("/tmp")
      Issue.record("accepted")
    } catch { #expect(error.kind == .unreadable(EISDIR)) }
  }

  @Test func theEnvironmentOverrides() throws {
    #expect(EngineSettings.variable(for: "auth.jwt.token_jwt_secret") == "RSTREAM_ENGINE_AUTH__JWT__TOKEN_JWT_SECRET")
    var settings = try load("tls: {listen_addr: \":1\"}")
    let environment = ["RSTREAM_ENGINE_TLS__LISTEN_ADDR": ":2", "RSTREAM_ENGINE_ENGINE__HOST": " "]
    try settings.loadEnvironment { environment[$0] }
    #expect(settings.tlsListen?.port == 2)
    #expect(settings.host == "localhost")
    do {
      try settings.loadEnvironment { $0 == "RSTREAM_ENGINE_AUTH__OPEN" ? "1" : nil }
      Issue.record("accepted")
    } catch { #expect(error.message == "RSTREAM_ENGINE_AUTH__OPEN: \"1\" is neither true nor false") }
  }

  @Test func validationSaysWhatToSet() throws {
    func message(_ values: KeyValuePairs<String, String>) throws -> String? {
      var settings = EngineSettings()
      for (name, value) in values { try settings.set(name, value) }
      do { try settings.validate() } catch { return error.message }
      return nil
    }
    let development: KeyValuePairs = ["dev.enabled": "true", "dev.state_dir": "/d"]
    #expect(try message(development) == nil)
    #expect(try message(["dev.enabled": "true"])?.contains("dev.state_dir") == true)
    #expect(try message(["auth.open": "true"])?.contains("certs.static.cert_file") == true)
    #expect(try message(["certs.static.cert_file": "c"])?.contains("belong together") == true)
    let files: KeyValuePairs = ["certs.static.cert_file": "c", "certs.static.key_file": "k"]
    #expect(try message(files)?.contains("nobody could log in") == true)
    #expect(try message(["tls.enabled": "false"])?.contains("tls.enabled") == true)

    var settings = EngineSettings()
    for (name, value) in files { try settings.set(name, value) }
    try settings.set("auth.jwt.enabled", "true")
    #expect(throws: ConfigError.self) { try settings.validate() }
    try settings.set("auth.jwt.token_jwt_secret", "0123456789abcdef0123456789abcdef")
    try settings.validate()
    try settings.set("auth.jwt.enabled", "false")
    #expect(settings.jwtSecret == nil)
    try settings.set("metrics.prometheus.enabled", "true")
    try settings.set("auth.tokens", "a, b")
    try settings.validate()
    try settings.set("metrics.prometheus.listen_addr", ":9090")
    #expect(throws: ConfigError.self) { try settings.validate() }
    try settings.set("metrics.prometheus.bearer_token", "t")
    #expect(settings.tokens == ["a", "b"])
    try settings.validate()
    try settings.set("certs.static.enabled", "false")
    #expect(throws: ConfigError.self) { try settings.validate() }
  }

  @Test func developmentAcceptsAnonymousUnlessToldNotTo() throws {
    var settings = EngineSettings()
    try settings.set("dev.enabled", "true")
    try settings.set("dev.state_dir", "/d")
    #expect(settings.acceptsAnonymous)
    try settings.set("auth.open", "false")
    #expect(!settings.acceptsAnonymous)
    #expect(throws: ConfigError.self) { try settings.validate() }
  }

  @Test(arguments: [
    ("tls.listen_addr", "443"), ("tls.listen_addr", "host"), ("tls.listen_addr", ":65536"),
    ("tls.listen_addr", "::1:1"),
    ("tcp.port_range", "1"), ("tcp.port_range", "2-1"), ("tcp.port_range", "0-1"), ("tcp.port_range", "1-70000"),
    ("tcp.port_range", "1-2-3"), ("tcp.listen_host", "a b"), ("engine.host", "127.0.0.1"), ("engine.host", "a_b"),
    ("timeouts.handshake_seconds", "0"), ("timeouts.handshake_seconds", "3601"), ("limits.clients", "0"),
    ("engine.log_level", "loud"), ("auth.tokens", " , "), ("auth.tokens", "a b"), ("dev.state_dir", ""),
  ])
  func badValuesAreRefused(name: String, value: String) {
    var settings = EngineSettings()
    do {
      try settings.set(name, value)
      Issue.record("accepted")
    } catch {
      #expect(error.kind == .invalidConfig)
      #expect(error.message.hasPrefix("\(name): "))
    }
  }
}

@Suite struct IPRangeTests {
  @Test(arguments: [
    ("192.0.2.7", "192.0.2.7"), ("192.0.2.7/24", "192.0.2.0/24"), ("10.1.2.3/9", "10.0.0.0/9"),
    ("0.0.0.0/0", "0.0.0.0/0"),
    ("2001:DB8:0:0::1/32", "2001:db8::/32"), ("::1", "::1"), ("::ffff:192.0.2.7", "192.0.2.7"),
    ("::ffff:192.0.2.7/120", "192.0.2.0/24"), ("192.0.2.7/32", "192.0.2.7"),
  ])
  func areNormalized(text: String, expected: String) {
    #expect(IPRange(text)?.text == expected)
  }

  @Test(arguments: [
    "", "192.0.2", "192.0.2.1/33", "192.0.2.1/", "192.0.2.1/-1", "192.0.2.1/1/2", "::1/129", "host", "1.2.3.4 ",
    "::1%lo",
  ])
  func badRangesAreRefused(text: String) {
    #expect(IPRange(text) == nil)
  }

  @Test func containsAddresses() throws {
    let v4 = try #require(IPRange("192.0.2.0/23"))
    #expect(v4.contains(text: "192.0.3.255"))
    #expect(!v4.contains(text: "192.0.4.0"))
    #expect(v4.contains(text: "::ffff:192.0.2.1"))
    #expect(v4.contains([192, 0, 2, 9]))
    #expect(!v4.contains([192, 0, 2]))
    #expect(!v4.contains(text: "nonsense"))
    let v6 = try #require(IPRange("2001:db8::/33"))
    #expect(v6.contains(text: "2001:db8:7fff::1"))
    #expect(!v6.contains(text: "2001:db8:8000::1"))
    #expect(!v6.contains(text: "192.0.2.1"))
    #expect(try #require(IPRange("0.0.0.0/0")).contains(text: "203.0.113.9"))
  }
}
