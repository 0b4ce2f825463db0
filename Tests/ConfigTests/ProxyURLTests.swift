// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RstreamConfig

@Suite struct ProxyURLTests {
  @Test func readsWhatCommonToolsWrite() throws {
    let plain = try ProxyURL.http("http://Proxy.Example:3128")
    #expect(plain.scheme == .http && plain.host == "proxy.example" && plain.port == 3128 && plain.username == nil)
    #expect(try ProxyURL.http(" http://proxy/ignored?this=too ").port == 80)
    #expect(try ProxyURL.http("HTTPS://proxy").port == 443)
    let secret = try ProxyURL.http("https://a%40b:p%3A%20w@[2001:DB8::1]:8443")
    #expect(secret.host == "2001:db8::1" && secret.port == 8443)
    #expect(secret.username == "a@b" && secret.password == "p: w")
    let user = try ProxyURL.socks5("socks5h://user@127.0.0.1")
    #expect(user.port == 1080 && user.username == "user" && user.password == "")
    #expect(try ProxyURL.socks5("proxy:1081").port == 1081)
    #expect(try ProxyURL.environment("proxy:3128").scheme == .http)
    #expect(try ProxyURL.environment("socks5://proxy").scheme == .socks5)
  }

  @Test(arguments: [
    "", "http://", "http://:3128", "proxy:3128", "ftp://proxy", "socks5://proxy", "http://pro xy", "http://proxy:0",
    "http://proxy:65536", "http://proxy:http", "http://[::1", "http://[proxy]", "http://a%zz@proxy",
    "http://a%0a@proxy",
    "http://a%ff@proxy", "http://-proxy",
  ])
  func refusesWhatIsNoHTTPProxy(_ text: String) {
    #expect(throws: ConfigError.self) { try ProxyURL.http(text) }
  }

  @Test func messagesHoldNoPassword() {
    for text in ["http://user:hunter2@pro xy", "ftp://user:hunter2@proxy", "http://user:hunter2@proxy:99999"] {
      do {
        _ = try ProxyURL.http(text)
        Issue.record("accepted \(text)")
      } catch {
        #expect(!error.message.contains("hunter2"))
      }
    }
  }
}

@Suite struct ProxyEnvironmentTests {
  private func proxy(_ engine: String, _ variables: [String: String]) throws -> ProxyURL? {
    try ProxyEnvironment.proxy(for: EngineAddress(engine)) { variables[$0] }
  }

  @Test func takesTheMostSpecificVariable() throws {
    let all = [
      "HTTPS_PROXY": "http://a", "https_proxy": "http://b", "HTTP_PROXY": "http://c", "http_proxy": "http://d",
      "ALL_PROXY": "socks5://e", "all_proxy": "socks5://f",
    ]
    var rest = all
    for (name, host) in [
      ("HTTPS_PROXY", "a"), ("https_proxy", "b"), ("HTTP_PROXY", "c"), ("http_proxy", "d"), ("ALL_PROXY", "e"),
      ("all_proxy", "f"),
    ] {
      #expect(try proxy("edge.example:443", rest)?.host == host)
      rest[name] = " "
    }
    #expect(try proxy("edge.example:443", rest) == nil)
  }

  @Test func namesTheVariableThatIsWrong() {
    do {
      _ = try proxy("edge.example", ["ALL_PROXY": "ftp://proxy"])
      Issue.record("accepted")
    } catch {
      #expect("\(error)".contains("ALL_PROXY: "))
    }
  }

  @Test(arguments: [
    ("edge.example:443", "*", true),
    ("edge.example:443", "example", true),
    ("example:443", "example", true),
    ("badexample:443", "example", false),
    ("example:443", ".example", false),
    ("edge.example:443", ".example", true),
    ("edge.example:443", "*.example", true),
    ("example:443", "*.example", false),
    ("edge.example:443", "other, EDGE.example", true),
    ("edge.example:443", "edge.example:443", true),
    ("edge.example:443", "edge.example:8443", false),
    ("192.0.2.7:443", "192.0.2.0/24", true),
    ("192.0.3.7:443", "192.0.2.0/24", false),
    ("192.0.2.7:443", "192.0.2.7", true),
    ("192.0.2.7:443", "192.0.2.7:80", false),
    ("[2001:db8::7]:443", "2001:db8::/32", true),
    ("[2001:db8::7]:443", "[2001:db8::7]:443", true),
    ("edge.example:443", "192.0.2.0/24,,,", false),
    ("localhost:443", "", true),
    ("127.0.0.9:443", "", true),
    ("[::1]:443", "", true),
  ])
  func exceptsWhatNoProxyLists(_ engine: String, _ list: String, _ isExcepted: Bool) throws {
    let variables = ["HTTPS_PROXY": "http://proxy", "no_proxy": list]
    #expect((try proxy(engine, variables) == nil) == isExcepted)
  }

  @Test func upperCaseNoProxyGoesFirst() throws {
    let variables = ["HTTPS_PROXY": "http://proxy", "NO_PROXY": "other", "no_proxy": "*"]
    #expect(try proxy("edge.example", variables) != nil)
  }
}
