// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RstreamConfig

@Suite struct ClientSettingsTests {
  private func settings(_ values: KeyValuePairs<String, String>) throws -> ClientSettings {
    var settings = ClientSettings()
    for (name, value) in values { try settings.set(name, value) }
    return settings
  }

  private func failure(_ name: String, _ value: String) -> ConfigError? {
    var settings = ClientSettings()
    do { try settings.set(name, value) } catch { return error }
    return nil
  }

  @Test func namesAndDefaultsAreThoseOfTheHeader() {
    let rows = HeaderTable.rows("config.h")
    #expect(rows.map { $0[0] } == ClientSettings.names)
    for row in rows {
      #expect(ClientSettings.defaultValue(row[0]) == (row[2] == "-" ? nil : row[2]), "\(row[0])")
    }
  }

  @Test func defaultsAreTyped() {
    let settings = ClientSettings()
    #expect(settings.engine == nil)
    #expect(settings.zeroRtt && settings.heartbeatEnabled && !settings.insecureSkipVerify)
    #expect(settings.heartbeatIntervalMilliseconds == 5000)
    #expect(settings.connectTimeoutMilliseconds == 15_000)
    #expect(settings.operationTimeoutMilliseconds == 30_000)
    #expect(settings.get("zeroRtt") == nil)
  }

  @Test func setGetUnset() throws {
    var settings = try settings(["engine": "Edge.Example.COM:8443", "zeroRtt": "false", "timeouts.connectMs": "1"])
    #expect(settings.get("engine") == "Edge.Example.COM:8443")
    #expect(settings.engine?.host == "edge.example.com")
    #expect(settings.engine?.port == 8443)
    #expect(!settings.zeroRtt)
    #expect(settings.connectTimeoutMilliseconds == 1)
    try settings.set("zeroRtt", nil)
    #expect(settings.zeroRtt)
    #expect(settings.get("unknown") == nil)
  }

  @Test(arguments: [
    ("edge.example.com", "edge.example.com:443"), ("edge.example.com:1", "edge.example.com:1"),
    (" localhost ", "localhost:443"), ("127.0.0.1:65535", "127.0.0.1:65535"), ("[::1]", "[::1]:443"),
    ("[2001:DB8::1]:8443", "[2001:db8::1]:8443"), ("a-b.c", "a-b.c:443"),
  ])
  func engineAddressesAreNormalized(text: String, expected: String) throws {
    #expect(try EngineAddress(text).text == expected)
  }

  @Test(arguments: [
    "https://edge", "edge/path", "edge?x", "edge#x", "user@edge", "edge\\x", "ed ge", "edge..com", ".edge", "edge.",
    "-edge", "edge-", "edge_1", "::1", "[::1", "[::1]x", "[edge]", "[]", "edge:", "edge:0", "edge:65536", "edge:+1",
    "edge:1:2", ":443", "édge", "edge:４４３", String(repeating: "a", count: 64),
    String(repeating: "a.", count: 127) + "aa",
  ])
  func badEngineAddressesAreRefused(text: String) {
    #expect(throws: ConfigError.self) { try EngineAddress(text) }
    #expect(failure("engine", text)?.kind == .invalidEngine)
  }

  @Test func unknownNamesTellWhatIsKnown() {
    let failure = failure("timeouts.conectMs", "1")
    #expect(failure?.kind == .invalidConfig)
    #expect(failure?.message.contains("timeouts.connectMs") == true)
    #expect(failure?.message.contains("auth.token") == false)
  }

  @Test func valuesAreChecked() {
    #expect(failure("zeroRtt", "yes")?.kind == .invalidConfig)
    #expect(failure("heartbeat.intervalMs", "999")?.kind == .invalidConfig)
    #expect(failure("heartbeat.intervalMs", "300001")?.kind == .invalidConfig)
    #expect(failure("heartbeat.intervalMs", "300000") == nil)
    #expect(failure("timeouts.connectMs", "0")?.kind == .invalidTimeout)
    #expect(failure("timeouts.operationMs", "-5")?.kind == .invalidTimeout)
    #expect(failure("timeouts.operationMs", "99999999999999999999999")?.kind == .invalidTimeout)
    #expect(failure("transport.mode", "quic") == nil)
    #expect(failure("transport.mode", "carrier")?.kind == .invalidConfig)
    #expect(failure("transport.mode", "Auto") == nil)
    #expect(failure("transport.tls.serverName", "a b")?.kind == .invalidConfig)
    #expect(failure("transport.tls.serverName", "::1") == nil)
    #expect(failure("auth.token", "")?.kind == .invalidConfig)
  }

  @Test func tokensNeverAppearInMessages() {
    let message = failure("auth.token", "secret with space")?.message
    #expect(message?.contains("auth.token") == true)
    #expect(message?.contains("secret with") == false)
  }

  @Test func validationNamesWhatIsWrong() throws {
    func kind(_ values: KeyValuePairs<String, String>) throws -> ConfigError.Kind? {
      let settings = try settings(values)
      do { try settings.validate(now: 1_000) } catch { return error.kind }
      return nil
    }
    #expect(try kind([:]) == .engineRequired)
    #expect(try kind(["engine": "e"]) == nil)
    #expect(try kind(["engine": "e", "auth.mtls.keyFile": "k"]) == .mtlsIncomplete)
    #expect(try kind(["engine": "e", "auth.mtls.certificateFile": "c"]) == .mtlsIncomplete)
    let pair: KeyValuePairs = ["engine": "e", "auth.mtls.certificateFile": "c", "auth.mtls.keyFile": "k"]
    #expect(try kind(pair) == nil)
    var both = try settings(pair)
    try both.set("auth.token", "t")
    #expect(throws: ConfigError.self) { try both.validate(now: 0) }
    #expect(try kind(["engine": "e", "auth.token": "opaque"]) == nil)
    // {"exp":1000} and {"exp":1001}
    #expect(try kind(["engine": "e", "auth.token": "e30.eyJleHAiOjEwMDB9.x"]) == .tokenExpired)
    #expect(try kind(["engine": "e", "auth.token": "e30.eyJleHAiOjEwMDF9.x"]) == nil)
  }
}

@Suite struct TokenExpiryTests {
  private func expiry(_ json: String) -> Int64? {
    TokenExpiry.of("e30.\(base64url(json)).sig")
  }

  private func base64url(_ text: String) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    var bits = ""
    for byte in text.utf8 {
      let binary = String(byte, radix: 2)
      bits += String(repeating: "0", count: 8 - binary.count) + binary
    }
    while bits.count % 6 != 0 { bits += "0" }
    var result = ""
    while !bits.isEmpty {
      result.append(alphabet[Int(bits.prefix(6), radix: 2) ?? 0])
      bits.removeFirst(6)
    }
    return result
  }

  @Test func findsTheOutermostNumber() {
    #expect(expiry(#"{"exp":17}"#) == 17)
    #expect(expiry(#" { "a" : [ 1 , {"exp": 3} , "\"}" , -1.5e+3, true, null, false, [], {} ] , "exp" : -5 } "#) == -5)
  }

  @Test(arguments: [
    "{}", #"{"exp":1.5}"#, #"{"exp":"5"}"#, #"{"exp":5,"exp":6}"#, #"{"exp":5"#, #"{"exp":5}x"#, #"{"exp":5,}"#,
    #"{exp:5}"#, #"["exp"]"#, "", #"{"a":{"exp":5}}"#, #"{"exp":99999999999999999999}"#, #"{"a":tru,"exp":5}"#,
    #"{"a":01,"exp":5}"#, String(repeating: #"{"a":"#, count: 200), #"{"exp":5,"a":"\"#,
  ])
  func otherTokensPass(json: String) {
    #expect(expiry(json) == nil)
  }

  @Test(arguments: ["", "a.b", "a.b.c.d", "e30.eyJleHAiOjEwMDB9=.x", "e30.%%.x"])
  func opaqueTokensPass(token: String) {
    #expect(TokenExpiry.of(token) == nil)
  }

  @Test func base64urlIsCanonical() {
    #expect(Base64URL.decode("".utf8) == [])
    #expect(Base64URL.decode("AA".utf8) == [0])
    #expect(Base64URL.decode("-_8".utf8) == [0xFB, 0xFF])
    #expect(Base64URL.decode("AB".utf8) == nil)
    #expect(Base64URL.decode("A".utf8) == nil)
    #expect(Base64URL.decode("AA==".utf8) == nil)
    #expect(Base64URL.decode("A+".utf8) == nil)
    #expect(Base64URL.decode("AAAAA".utf8) == nil)
  }
}
