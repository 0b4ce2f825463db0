// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RstreamConfig

/// What comes of a configuration file, environment variables and settings.
struct Loading {
  var settings = ClientSettings()
  var notes: [String] = []

  init(_ yaml: String = "", _ environment: [String: String] = [:], set: [String: String] = [:]) throws {
    for (name, value) in set { try settings.set(name, value) }
    notes = try settings.load({ environment[$0] }, yaml: Array(yaml.utf8), path: "f")
  }

  /// What is refused, when loading or when a client is made.
  static func failure(
    _ yaml: String = "", _ environment: [String: String] = [:], set: [String: String] = [:], now: Int64 = 0
  ) -> ConfigError? {
    do {
      try Loading(yaml, environment, set: set).settings.validate(now: now)
      return nil
    } catch {
      return error as? ConfigError
    }
  }
}

@Suite struct EnvironmentTests {
  @Test func fillsInWhatIsNotSet() throws {
    let environment = [
      "RSTREAM_ENGINE": " env.example ", "RSTREAM_AUTHENTICATION_TOKEN": "token", "RSTREAM_TUNNEL_TRANSPORT": "tls",
      "RSTREAM_MTLS_CERT_FILE": "  ",
    ]
    let empty = try Loading("", environment).settings
    #expect(empty.get("engine") == "env.example")
    #expect(empty.token == "token")
    #expect(empty.get("transport.mode") == "tls")
    #expect(try empty.clientCertificate() == nil)
    #expect(try Loading("", environment, set: ["engine": "given"]).settings.get("engine") == "given")
  }

  @Test func aCertificatePairIsNotMixed() throws {
    let environment = ["RSTREAM_MTLS_CERT_FILE": "c", "RSTREAM_MTLS_KEY_FILE": "k"]
    let settings = try Loading("", environment, set: ["auth.mtls.certificateFile": "own.pem"]).settings
    #expect(settings.get("auth.mtls.certificateFile") == "own.pem")
    #expect(settings.get("auth.mtls.keyFile") == nil)
    #expect(try Loading("", environment).settings.clientCertificate() == .files(certificate: "c", key: "k"))
    #expect(Loading.failure("", ["RSTREAM_MTLS_CERT_FILE": "c"])?.kind == .mtlsIncomplete)
    #expect(Loading.failure("", ["RSTREAM_MTLS_KEY_FILE": "k"])?.kind == .mtlsIncomplete)
  }

  @Test func errorsNameTheVariable() {
    let failure = Loading.failure("", ["RSTREAM_ENGINE": "http://x"])
    #expect(failure?.kind == .invalidEngine)
    #expect(failure?.message.hasPrefix("RSTREAM_ENGINE: ") == true)
    #expect(Loading.failure("", ["RSTREAM_API_URL": "x"])?.kind == .invalidAPIURL)
    #expect(Loading.failure("", ["RSTREAM_REGION": "a b"])?.kind == .invalidRegion)
    #expect(Loading.failure("", ["RSTREAM_CONTROL_PLANE_HEADERS": "[]"])?.kind == .invalidConfig)
    #expect(Loading.failure("", ["RSTREAM_TUNNEL_TRANSPORT": "x"])?.kind == .invalidConfig)
    #expect(Loading.failure("", ["RSTREAM_CONTEXT": "x"])?.kind == .contextNotFound)
  }

  @Test func anEmptyEngineHidesTheOtherName() throws {
    #expect(try Loading("", ["RSTREAM_ENGINE_ADDRESS": "a"]).settings.get("engine") == "a")
    #expect(try Loading("", ["RSTREAM_ENGINE_ADDRESS": "a", "RSTREAM_ENGINE": ""]).settings.get("engine") == nil)
  }

  @Test func legacyTransportGivesWay() throws {
    func mode(_ environment: [String: String]) throws -> String? {
      try Loading("", environment).settings.get("transport.mode")
    }
    #expect(try mode(["RSTREAM_QUIC_TRANSPORT": "1"]) == "quic")
    #expect(try mode(["RSTREAM_QUIC_TRANSPORT": "0"]) == "tls")
    #expect(try mode(["RSTREAM_QUIC_TRANSPORT": " "]) == nil)
    #expect(try mode(["RSTREAM_QUIC_TRANSPORT": "1", "RSTREAM_TUNNEL_TRANSPORT": "auto"]) == "auto")
  }

  @Test func loadingAgainForgets() throws {
    var settings = try Loading("", ["RSTREAM_ENGINE": "a", "RSTREAM_REGION": "b"]).settings
    _ = try settings.load({ ["RSTREAM_ENGINE": "c"][$0] }, yaml: [], path: "f")
    #expect(settings.get("engine") == "c")
    #expect(settings.get("region") == nil)
    try settings.set("engine", nil)
    #expect(settings.get("engine") == nil)
  }

  @Test func aFileThatIsMissingIsEmpty() throws {
    var settings = ClientSettings()
    #expect(try settings.load({ _ in nil }, home: "/nonexistent") == [])
    #expect(throws: ConfigError.self) { try settings.load({ ["RSTREAM_CONFIG": "/"][$0] }, home: nil) }
  }
}

@Suite struct ContextTests {
  static let file = """
    version: 1
    defaults: {context: {name: main}}
    environments:
      - apiUrl: https://cp.example/
        auth: {token: {storage: {kind: inline, value: env-token}}}
        headers: {x-one: "1", X-Two: "2"}
        transport: {mode: tls, tls: {caFile: /env.pem, serverName: env.example}}
    contexts:
      - name: main
        apiUrl: https://cp.example
        projectEndpoint: abc
        engine: abc.example
        region: auto
        turnPort: 1
        transport: {tls: {serverName: ctx.example}}
      - name: own
        engine: Own.Example:8443
        auth: {token: {storage: {value: own-token}}}
      - {name: twice, engine: one.example}
      - {name: twice, apiUrl: https://cp.example, engine: two.example}
    """

  @Test func theDefaultContextAndItsEnvironment() throws {
    let settings = try Loading(Self.file).settings
    #expect(settings.engine?.text == "abc.example:443")
    #expect(settings.token == "env-token")
    #expect(settings.get("apiUrl") == "https://cp.example")
    #expect(settings.projectEndpoint == "abc")
    #expect(settings.region == nil)
    #expect(settings.get("turnPort") == "1")
    #expect(settings.caFile == "/env.pem")
    #expect(settings.serverName == "ctx.example")
    #expect(settings.get("headers") == #"{"X-One":"1","X-Two":"2"}"#)
    #expect(settings.get("transport.mode") == "tls")
    try settings.validate(now: 0)
  }

  @Test func anUnlinkedContextHasNoEnvironment() throws {
    let settings = try Loading(Self.file, ["RSTREAM_CONTEXT": "own"]).settings
    #expect(settings.engine?.text == "own.example:8443")
    #expect(settings.token == "own-token")
    #expect(settings.caFile == nil)
    #expect(settings.get("headers") == nil)
    #expect(settings.get("context") == "own")
  }

  @Test func noContextAtAll() throws {
    let set = ["ignoreDefaultContext": "true"]
    #expect(try Loading(Self.file, set: set).settings.token == nil)
    let settings = try Loading(Self.file, ["RSTREAM_API_URL": "https://cp.example"], set: set).settings
    #expect(settings.token == "env-token")
    #expect(settings.caFile == nil)
    #expect(settings.engine == nil)
  }

  @Test func namesAreLookedUpWithTheControlPlane() throws {
    #expect(Loading.failure(Self.file, ["RSTREAM_CONTEXT": "twice"])?.kind == .contextAmbiguous)
    let linked = try Loading(Self.file, ["RSTREAM_CONTEXT": "twice", "RSTREAM_API_URL": "https://cp.example/"])
    #expect(linked.settings.engine?.host == "two.example")
    let own = try Loading(Self.file, ["RSTREAM_CONTEXT": "twice", "RSTREAM_API_URL": "https://other.example"])
    #expect(own.settings.engine?.host == "one.example")
    let foreign = Loading.failure(Self.file, ["RSTREAM_API_URL": "https://other.example"])
    #expect(foreign?.kind == .contextNotFound)
    #expect(foreign?.message.contains("belongs to https://cp.example") == true)
    #expect(Loading.failure(Self.file, set: ["context": "none"])?.message.contains("\"main\"") == true)
    #expect(Loading.failure("defaults: {context: {name: gone}}")?.kind == .contextNotFound)
  }

  @Test func placesAreNamed() {
    let failure = Loading.failure("contexts:\n- name: a\n  engine: x y\n", set: ["context": "a"])
    #expect(failure?.kind == .invalidEngine)
    #expect(failure?.message.hasPrefix("f:3: contexts[0].engine: ") == true)
    let flag = Loading.failure("contexts:\n- name: a\n  transport:\n    mptcp: 'yes'\n", set: ["context": "a"])
    #expect(flag?.message.hasPrefix("f:4: contexts[0].transport.mptcp: ") == true)
  }

  @Test(arguments: [
    "contexts: [{name: a, name: b}]", "a: [", "a: 1\n---\nb: 2", "a: *x", "contexts: !!python/name:os []",
    "contexts: [{name: a, apiUrl: ftp://x}]", "environments: [{apiUrl: https://x, headers: {Host: x}}]",
    "environments: [{apiUrl: https://x, headers: [x]}]", "a: \u{1}", "x: &a [*a]",
  ])
  func brokenFilesAreRefused(yaml: String) {
    let failure = Loading.failure(yaml, ["RSTREAM_ENGINE": "e"])
    #expect(failure?.message.hasPrefix("f:1: ") == true || failure?.message.hasPrefix("f:2: ") == true)
  }

  @Test(arguments: [
    "", "  \n", "# nothing\n", "[a]", "text", "~", "contexts: x", "contexts: [x, {engine: e}]", "environments: {}",
    "defaults: x", "defaults: {context: {name: 1}}", "defaults: {context: {name: \" \"}}", "other: {a: b}",
    "contexts: [{name: on}]", "version: 7",
  ])
  func oddFilesHaveNothing(yaml: String) throws {
    let loading = try Loading(yaml, ["RSTREAM_ENGINE": "e"])
    #expect(loading.settings.get("context") == nil)
    try loading.settings.validate(now: 0)
  }

  @Test func whatIsIgnoredIsNoted() throws {
    let yaml = "contexts:\n- name: a\n  engine: e\n  projectEndpoint: 12\n  transport: {ipFamily: ipv5, bind: []}\n"
    let notes = try Loading(yaml, set: ["context": "a"]).notes
    #expect(
      notes.map { String($0.prefix(34)) } == [
        "f:4: contexts[0].projectEndpoint: ", "f:5: contexts[0].transport.bind: i",
        "f:5: contexts[0].transport.ipFamil",
      ])
  }

  @Test func anchorsAndMergesWork() throws {
    let yaml = """
      base: &base
        engine: e.example
        transport: &t {tls: {serverName: s}}
      contexts:
        - <<: *base
          name: a
        - {<<: [{engine: f.example}, *base], name: b, transport: *t}
      """
    #expect(try Loading(yaml, set: ["context": "a"]).settings.engine?.host == "e.example")
    let settings = try Loading(yaml, set: ["context": "b"]).settings
    #expect(settings.engine?.host == "f.example")
    #expect(settings.serverName == "s")
  }

  @Test func aliasesDoNotGrowDeep() {
    let yaml = "a0: &a0 [x]\n" + (1...40).map { "a\($0): &a\($0) [*a\($0 - 1)]\n" }.joined()
    #expect(Loading.failure(yaml)?.message.contains("nested deeper") == true)
    let wide = "a: &a {\((0..<200).map { "k\($0): 1" }.joined(separator: ","))}\n"
    let merges = (0..<100).map { "b\($0): {<<: *a}\n" }.joined()
    #expect(Loading.failure(wide + merges)?.message.contains("too much is merged") == true)
  }
}

@Suite struct IdentityTests {
  private func file(_ auth: String, environment: String = "{}") -> String {
    """
    environments: [{apiUrl: https://cp, auth: \(environment)}]
    contexts: [{name: c, apiUrl: https://cp, engine: e.example, auth: \(auth)}]
    defaults: {context: {name: c}}
    """
  }
  private let token = "{token: {storage: {kind: inline, value: stored}}}"
  private let files = "{mtls: {certificateFile: /c, keyFile: /k}}"

  @Test func oneSectionIsTheIdentity() throws {
    let settings = try Loading(file(files, environment: token)).settings
    #expect(settings.token == nil)
    #expect(try settings.clientCertificate() == .files(certificate: "/c", key: "/k"))
    let other = try Loading(file(token, environment: files)).settings
    #expect(other.token == "stored")
    #expect(try other.clientCertificate() == nil)
    #expect(try Loading(file("{}", environment: files)).settings.clientCertificate() != nil)
  }

  @Test func tokenAndCertificateExcludeEachOther() throws {
    let both = "{token: {storage: {value: t}}, mtls: {certificateFile: /c, keyFile: /k}}"
    #expect(Loading.failure(file(both))?.kind == .authConflict)
    #expect(Loading.failure(file(files), ["RSTREAM_AUTHENTICATION_TOKEN": "t"])?.kind == .authConflict)
    #expect(Loading.failure(file(files), set: ["auth.token": "t"])?.kind == .authConflict)
    let pair = ["RSTREAM_MTLS_CERT_FILE": "/x", "RSTREAM_MTLS_KEY_FILE": "/y"]
    #expect(try Loading(file(both), pair).settings.token == nil)
    #expect(try Loading(file(both), pair).settings.clientCertificate() == .files(certificate: "/x", key: "/y"))
    #expect(
      Loading.failure(file(token), pair.merging(["RSTREAM_AUTHENTICATION_TOKEN": "t"]) { $1 })?.kind == .authConflict)
    #expect(Loading.failure(file(both), set: ["auth.noToken": "true"]) == nil)
    // Given after loading, a certificate takes the place of all that is stored.
    var late = try Loading(file(both)).settings
    try late.set("auth.mtls.certificateFile", "/x")
    #expect(late.token == nil && late.get("auth.mtls.keyFile") == nil)
  }

  @Test func storedIdentitiesStayWithTheirEngine() {
    func kind(_ auth: String, _ engine: String) -> ConfigError.Kind? {
      Loading.failure(file(auth), ["RSTREAM_ENGINE": engine])?.kind
    }
    #expect(kind(token, "other.example") == .storedTokenEngineOverride)
    #expect(kind(files, "other.example") == .storedMTLSEngineOverride)
    #expect(kind(token, "E.Example:443") == nil)
    #expect(kind(files, "e.example") == nil)
    #expect(Loading.failure(file(token), set: ["engine": "o"])?.kind == .storedTokenEngineOverride)
    #expect(Loading.failure(file(token), set: ["engine": "o", "auth.token": "t"]) == nil)
    #expect(Loading.failure(file(token), set: ["engine": "o", "auth.noToken": "true"]) == nil)
    #expect(Loading.failure(file("{}", environment: token), set: ["engine": "o"])?.kind == .storedTokenEngineOverride)
  }

  @Test func anEngineGivenAfterLoadingIsLookedAtToo() throws {
    var settings = try Loading(file(token)).settings
    try settings.set("engine", "other.example")
    #expect(throws: ConfigError.self) { try settings.validate(now: 0) }
  }

  @Test(arguments: [
    ("{token: {storage: {kind: keychain, provider: macos}}}", ConfigError.Kind.unsupportedTokenStorage),
    ("{token: {storage: {kind: inline}}}", .invalidConfig),
    ("{mtls: {certificateFile: /c}}", .mtlsIncomplete), ("{mtls: {key: k}}", .mtlsIncomplete),
    ("{mtls: {certificateFile: /c, keyFile: /k, certificate: x, key: y}}", .invalidConfig),
    ("{mtls: {certificateFile: /c, keyFile: /k, storage: {kind: exec}}}", .invalidConfig),
    ("{mtls: {storage: {kind: keychain}}}", .unsupportedMTLSStorage),
    ("{mtls: {storage: {module: /m}}}", .unsupportedMTLSStorage),
    ("{mtls: {storage: {kind: exec, exec: {command: /c, arg: [x]}}}}", .invalidConfig),
    ("{mtls: {storage: {kind: exec, exec: /c}}}", .invalidConfig),
  ])
  func whatCannotBeUsedIsRefused(auth: String, kind: ConfigError.Kind) {
    #expect(Loading.failure(file(auth))?.kind == kind)
  }

  private static let digest = String(repeating: "ab", count: 32)

  @Test func aProgramThatSigns() throws {
    let storage = "{mtls: {storage: {kind: exec, certificateSHA256: \(Self.digest), exec: {command: /bin/p, "
    let all = storage + "args: [a, \"b c\"], timeout: 1m, maxConcurrency: 3, passEnv: [A, _b1]}}}}"
    let expected = ExecIdentity(
      command: "/bin/p", arguments: ["a", "b c"], timeoutMilliseconds: 60_000, maximumConcurrency: 3,
      passedVariables: ["A", "_b1"], certificateDigest: [UInt8](repeating: 0xAB, count: 32))
    #expect(try Loading(file(all)).settings.clientCertificate() == .exec(expected))
    guard case .exec(let least) = try Loading(file(storage + "maxConcurrency: 0}}}}")).settings.clientCertificate()
    else {
      Issue.record("no program")
      return
    }
    #expect(least.timeoutMilliseconds == 5000 && least.maximumConcurrency == 1 && least.arguments.isEmpty)
  }

  @Test(arguments: [
    "exec: {command: /p}", "certificateSHA256: abcd, exec: {command: /p}", "certificateSHA256: D",
    "certificateSHA256: D, exec: {command: p}", "certificateSHA256: D, exec: {command: /p, timeout: 61s}",
    "certificateSHA256: D, exec: {command: /p, timeout: 0}", "certificateSHA256: D, exec: {command: /p, timeout: 5}",
    "certificateSHA256: D, exec: {command: /p, maxConcurrency: 33}",
    "certificateSHA256: D, exec: {command: /p, args: x}",
    "certificateSHA256: D, exec: {command: /p, passEnv: [1]}",
    "certificateSHA256: D, exec: {command: /p, passEnv: [\"a=b\"]}",
    "certificateSHA256: D, module: /m, exec: {command: /p}", "certificateSHA256: D, exec: {command: /p, env: []}",
  ])
  func programsThatCannotBe(storage: String) {
    let text = storage.split(separator: " D").joined(separator: " \(Self.digest)")
    let written = storage.hasSuffix(" D") ? text + " \(Self.digest)" : text
    #expect(Loading.failure(file("{mtls: {storage: {kind: exec, \(written)}}}"))?.kind == .invalidConfig)
  }

  @Test func requiredAuthentication() {
    let set = ["auth.required": "true", "engine": "e"]
    #expect(Loading.failure(set: set)?.kind == .authRequired)
    #expect(Loading.failure("", ["RSTREAM_AUTHENTICATION_TOKEN": "t"], set: set) == nil)
    #expect(Loading.failure("", ["RSTREAM_MTLS_CERT_FILE": "c", "RSTREAM_MTLS_KEY_FILE": "k"], set: set) == nil)
  }

  @Test func secretsAreInNoMessage() {
    let secret = "s3cr3t"
    let failures = [
      Loading.failure(file("{token: {storage: {value: \"\(secret) x\"}}}")),
      Loading.failure("", ["RSTREAM_CONTROL_PLANE_HEADERS": "{\"A\":\"\(secret)\\u0001\"}"]),
      Loading.failure("", ["RSTREAM_CONTROL_PLANE_HEADERS": "{\"A\":\"\(secret)\""]),
      Loading.failure("", ["RSTREAM_API_URL": "https://u:\(secret)@host"]),
      Loading.failure("", ["RSTREAM_ENGINE": "u:\(secret)@host"]),
      Loading.failure(
        "contexts: [{name: c, engine: e, transport: {proxy: {username: \(secret)}}}]", set: ["context": "c"]),
      Loading.failure("a: \"\(secret)\n\(secret): ["), Loading.failure(file("{token: \(secret): 1}")),
    ]
    for failure in failures {
      #expect(failure != nil)
      #expect(failure?.message.contains(secret) == false, "\(failure?.message ?? "")")
    }
  }
}

@Suite struct TargetTests {
  private func failure(_ context: String, _ environment: [String: String] = [:], set: [String: String] = [:])
    -> ConfigError?
  {
    Loading.failure("contexts: [{name: c, \(context)}]\ndefaults: {context: {name: c}}", environment, set: set)
  }

  @Test func regions() {
    #expect(failure("engine: e", ["RSTREAM_REGION": "eu"])?.kind == .projectEndpointRequired)
    #expect(
      failure("projectEndpoint: p", ["RSTREAM_REGION": "eu", "RSTREAM_ENGINE": "e"])?.kind == .regionEngineConflict)
    #expect(failure("engine: e, region: \"a b\"")?.kind == .invalidRegion)
    #expect(failure("engine: e, region: \"a b\"", ["RSTREAM_REGION": "auto"]) == nil)
    #expect(failure("engine: e, region: eu", set: ["region": "auto"]) == nil)
    #expect(failure("x: y")?.kind == .engineRequired)
  }

  @Test(arguments: [
    ("EU-West.1", "eu-west.1"), (" auto ", nil), ("a", "a"),
  ])
  func regionsAreNormalized(text: String, expected: String?) throws {
    #expect(try Region.normalized(text) == expected)
  }

  @Test(arguments: ["-a", "a-", "a b", "ä", String(repeating: "a", count: 65), "."])
  func badRegionsAreRefused(text: String) {
    #expect(throws: ConfigError.self) { try Region.normalized(text) }
  }

  @Test(arguments: [
    ("https://rstream.io", "https://rstream.io", "rstream.io", 443, ""),
    (" HTTP://Host:8080/base// ", "http://Host:8080/base", "host", 8080, "/base"),
    ("http://[::1]", "http://[::1]", "::1", 80, ""), ("https://[::1]:1/x/y", "https://[::1]:1/x/y", "::1", 1, "/x/y"),
  ])
  func urlsAreTakenApart(text: String, normalized: String, host: String, port: UInt16, path: String) throws {
    let url = try APIURL(text)
    #expect(url.text.lowercased() == normalized.lowercased())
    #expect(url.host == host && url.port == port && url.path == path)
  }

  @Test(arguments: [
    "", "rstream.io", "ftp://x", "https://", "https:///x", "https://a b", "https://u:p@h", "https://h?q", "https://h:0",
  ])
  func badURLsAreRefused(text: String) {
    #expect(throws: ConfigError.self) { try APIURL(text) }
  }

  @Test(arguments: [
    ("mode: quic, proxy: {http: \"http://p\"}", ConfigError.Kind.invalidConfig),
    ("useQuic: true, proxy: {http: \"https://p/udp\"}", .invalidConfig),
    ("mode: quic, proxy: {http: \"https://p\", username: u, password: p}", .invalidConfig),
    ("mode: quic, proxy: {http: \"https://p\", headers: {X: y}}", .invalidConfig),
    ("dns: {tls: true}", .invalidConfig), ("dns: {dnssec: true}", .invalidConfig),
    ("mode: fast", .invalidConfig), ("mode: 1", .invalidConfig), ("useQuic: \"true\"", .invalidConfig),
    ("proxy: {http: \"http://p\", socks5: p}", .invalidConfig),
    ("proxy: {http: \"http://p\", username: u}", .invalidConfig),
    ("proxy: {socks5: p, tls: {serverName: s}}", .invalidConfig), ("proxy: {tls: {caFile: c}}", .invalidConfig),
    ("bind: {address: x}", .invalidConfig), ("dns: {override: \"a:b:c\"}", .invalidConfig),
  ])
  func transportThatCannotBe(transport: String, kind: ConfigError.Kind) {
    #expect(failure("engine: e, transport: {\(transport)}")?.kind == kind)
  }

  @Test(arguments: [
    "mode: Auto", "mode: tls", "mode: quic", "useQuic: true", "mode: auto, proxy: {http: \"http://p\"}",
    "mode: quic, proxy: {http: \"https://p\"}", "mode: quic, proxy: {socks5: p, username: u, password: p}",
    "mode: QUIC, proxy: {http: \"https://p/{target_host}/{target_port}\"}", "useQuic: false", "useQuic: no",
    "mptcp: false", "proxy: {fromEnvironment: false}",
    "bind: {mode: other}", "bind: {mode: interface, address: 1.2.3.4}", "ipFamily: any", "dns: {tls: false}",
    "bind: {interface: eth0, mode: interface}", "bind: {address: 1.2.3.4}", "ipFamily: ipv4", "mptcp: true",
    "dns: {override: \"1.1.1.1\"}", "proxy: {http: \"http://p\"}", "proxy: {socks5: p}",
    "proxy: {fromEnvironment: true}",
    "mode: tls, useQuic: true", "mode: ~", "other: 1", "proxy: {tls: {insecureSkipVerify: false}}",
  ])
  func transportThatIsFine(transport: String) {
    #expect(failure("engine: e, transport: {\(transport)}") == nil)
  }

  @Test func modesAreMerged() throws {
    func mode(_ environment: String, _ context: String) throws -> String? {
      try Loading(
        """
        environments: [{apiUrl: https://cp, transport: {\(environment)}}]
        contexts: [{name: c, apiUrl: https://cp, engine: e, transport: {\(context)}}]
        """, set: ["context": "c"]
      ).settings.get("transport.mode")
    }
    #expect(try mode("mode: quic", "") == "quic")
    #expect(try mode("mode: quic", "useQuic: false") == "tls")
    #expect(try mode("useQuic: true", "mode: tls") == "tls")
    #expect(try mode("useQuic: true", "") == "quic")
    #expect(try mode("", "") == nil)
  }

  @Test func headersAreMerged() throws {
    let yaml = """
      environments: [{apiUrl: https://cp, headers: {a: "1", b: "1", c: "1"}, transport: {proxy: {headers: {X: "1", Y: "1"}}}}]
      contexts: [{name: c, apiUrl: https://cp, transport: {proxy: {headers: {x: "2"}}}}]
      """
    let variable = ["RSTREAM_CONTROL_PLANE_HEADERS": #"{"B":"2","C":"2"}"#]
    let settings = try Loading(yaml, variable, set: ["context": "c", "headers": #"{"c":"3"}"#]).settings
    #expect(settings.get("headers") == #"{"A":"1","B":"2","C":"3"}"#)
    #expect(settings.get("transport.proxy.headers") == #"{"Y":"1","x":"2"}"#)
  }
}
