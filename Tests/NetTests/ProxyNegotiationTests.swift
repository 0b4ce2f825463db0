// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RstreamNet

/// Feeds a negotiation byte by byte or at once, and notes what it says.
private struct Dialogue {
  var negotiation: any ProxyNegotiation
  var said: [[UInt8]] = []
  /// Bytes left behind the proxy's last word; nil while more has to arrive.
  var rest: [UInt8]?
  var bound: ProxyTarget?
  private var input: [UInt8] = []

  init(_ negotiation: any ProxyNegotiation) {
    self.negotiation = negotiation
    said.append(self.negotiation.opening())
  }

  mutating func hear(_ bytes: [UInt8], inPieces: Bool = true) throws {
    if inPieces {
      for byte in bytes { try take([byte]) }
    } else {
      try take(bytes)
    }
  }

  private mutating func take(_ bytes: [UInt8]) throws {
    if rest != nil {
      rest? += bytes
      return
    }
    input += bytes
    while rest == nil {
      let (consumed, step) = try negotiation.advance(input)
      input.removeFirst(consumed)
      switch step {
      case .wait: return
      case .send(let answer): said.append(answer)
      case .open(let bound):
        rest = input
        self.bound = bound
      }
    }
  }
}

struct SOCKS5RequestTests {
  private func dialogue(_ host: String, _ user: String? = nil, _ password: String = "") throws -> Dialogue {
    var server = ProxyServer(.socks5, host: "proxy", port: 1080)
    if let user { server.credentials = .init(username: user, password: password) }
    return Dialogue(try SOCKS5Request(.connect, server, to: ProxyTarget(host: host, port: 443)))
  }

  private func failure(_ dialogue: Dialogue, _ answer: [UInt8]) -> String {
    var dialogue = dialogue
    do {
      try dialogue.hear(answer)
    } catch {
      return (error as? Failure)?.message ?? "\(error)"
    }
    return "accepted"
  }

  @Test(arguments: [true, false]) func connectsToANameWithoutAuthentication(_ inPieces: Bool) throws {
    var talk = try dialogue("edge.example")
    try talk.hear([5, 0], inPieces: inPieces)
    try talk.hear([5, 0, 0, 1, 127, 0, 0, 1, 0x1F, 0x90] + Array("early".utf8), inPieces: inPieces)
    #expect(talk.said == [[5, 1, 0], [5, 1, 0, 3, 12] + Array("edge.example".utf8) + [1, 0xBB]])
    #expect(talk.rest == Array("early".utf8))
  }

  @Test func asksForAUDPRelay() throws {
    var talk = Dialogue(try SOCKS5Request.association(ProxyServer(.socks5, host: "proxy", port: 1080)))
    try talk.hear([5, 0, 5, 0, 0, 1, 192, 0, 2, 9, 0x1F, 0x90])
    #expect(talk.said == [[5, 1, 0], [5, 3, 0, 1, 0, 0, 0, 0, 0, 0]])
    #expect(talk.bound == ProxyTarget(host: "192.0.2.9", port: 8080) && talk.rest == [])
    var v6 = Dialogue(try SOCKS5Request.association(ProxyServer(.socks5, host: "proxy", port: 1080)))
    try v6.hear([5, 0, 5, 0, 0, 4] + [UInt8](repeating: 0, count: 15) + [1, 0, 53])
    #expect(v6.bound == ProxyTarget(host: "::1", port: 53))
    var name = Dialogue(try SOCKS5Request.association(ProxyServer(.socks5, host: "proxy", port: 1080)))
    try name.hear([5, 0, 5, 0, 0, 3, 5] + Array("relay".utf8) + [0, 53])
    #expect(name.bound == ProxyTarget(host: "relay", port: 53))
    let refused = Dialogue(try SOCKS5Request.association(ProxyServer(.socks5, host: "proxy", port: 1080)))
    #expect(failure(refused, [5, 0, 5, 7, 0, 1]) == "it could not relay UDP: command not supported")
  }

  @Test func authenticatesAndConnectsToAddresses() throws {
    var v4 = try dialogue("192.0.2.7", "agent", "")
    try v4.hear([5, 2, 1, 0, 5, 0, 0, 3, 3] + Array("abc".utf8) + [0, 1])
    #expect(v4.said == [[5, 2, 0, 2], [1, 5] + Array("agent".utf8) + [0], [5, 1, 0, 1, 192, 0, 2, 7, 1, 0xBB]])
    #expect(v4.rest == [])
    var v6 = try dialogue("2001:db8::7", "agent", "secret")
    try v6.hear([5, 0, 5, 0, 0, 4] + [UInt8](repeating: 0, count: 18))
    #expect(v6.said.last == [5, 1, 0, 4, 0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 1, 0xBB])
    #expect(v6.rest == [])
  }

  @Test func saysWhyItWasRefused() throws {
    let open = try dialogue("edge.example")
    let named = try dialogue("edge.example", "agent", "hunter2")
    #expect(failure(open, [5, 0xFF]).contains("rejected all authentication methods; it may want"))
    #expect(failure(named, [5, 0xFF]).hasSuffix("rejected all authentication methods"))
    #expect(failure(open, [5, 2]).contains("although none was offered"))
    #expect(failure(open, [5, 1]).contains("method 1, which was not offered"))
    #expect(failure(open, [4]).contains("does not speak SOCKS5"))
    #expect(failure(open, Array("HTTP/1.1 400".utf8)).contains("does not speak SOCKS5"))
    #expect(failure(named, [5, 2, 1, 1]).contains("does not accept the user name"))
    #expect(failure(named, [5, 2, 5, 0]).contains("does not accept the user name"))
    #expect(failure(open, [5, 0, 5, 0, 1, 1, 0]).contains("reserved byte"))
    #expect(failure(open, [5, 0, 5, 0, 0, 2, 0]).contains("address type 2"))
    #expect(failure(open, [5, 0, 4]).contains("does not speak SOCKS5"))
    #expect(!failure(named, [5, 2, 1, 1]).contains("hunter2"))
    let reasons = [
      "general failure", "not allowed by its rules", "network unreachable", "host unreachable", "connection refused",
      "time to live expired", "command not supported", "address type not supported", "reply 9",
    ]
    for (index, reason) in reasons.enumerated() {
      #expect(failure(open, [5, 0, 5, UInt8(index + 1)]).hasSuffix("connect to edge.example:443: \(reason)"))
    }
  }

  @Test func refusesWhatDoesNotFitItsFields() {
    #expect(throws: Failure.self) { try dialogue(String(repeating: "a", count: 256)) }
    #expect(throws: Failure.self) { try dialogue("edge", String(repeating: "u", count: 256)) }
    #expect(throws: Failure.self) { try dialogue("edge", "u", String(repeating: "p", count: 256)) }
  }
}

struct HTTPConnectTests {
  private func server() -> ProxyServer { ProxyServer(.http, host: "proxy", port: 3128) }

  private func dialogue(_ server: ProxyServer, _ host: String = "edge.example") -> Dialogue {
    Dialogue(HTTPConnect(server, to: ProxyTarget(host: host, port: 8443)))
  }

  private func failure(_ answer: String, inPieces: Bool = true, _ server: ProxyServer? = nil) -> String {
    var talk = dialogue(server ?? self.server())
    do {
      try talk.hear(Array(answer.utf8), inPieces: inPieces)
    } catch {
      return (error as? Failure)?.message ?? "\(error)"
    }
    return talk.rest == nil ? "waits" : "accepted"
  }

  private func text(_ talk: Dialogue) -> String { String(decoding: talk.said.joined(), as: UTF8.self) }

  @Test(arguments: [true, false]) func keepsWhatFollowsTheAnswer(_ inPieces: Bool) throws {
    var talk = dialogue(server())
    try talk.hear(
      Array("HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n\u{16}\u{3}early".utf8), inPieces: inPieces)
    #expect(text(talk) == "CONNECT edge.example:8443 HTTP/1.1\r\nHost: edge.example:8443\r\n\r\n")
    #expect(talk.rest == Array("\u{16}\u{3}early".utf8))
  }

  @Test(arguments: [true, false]) func skipsInterimResponses(_ inPieces: Bool) throws {
    var talk = dialogue(server())
    try talk.hear(Array("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx".utf8), inPieces: inPieces)
    #expect(talk.rest == Array("x".utf8))
  }

  @Test func sendsCredentialsAndFieldsThatReplaceItsOwn() {
    var proxy = server()
    proxy.credentials = .init(username: "Aladdin", password: "open sesame")
    proxy.headers = [("X-Company", "acme"), ("host", "other")]
    #expect(
      text(dialogue(proxy, "2001:db8::7"))
        == "CONNECT [2001:db8::7]:8443 HTTP/1.1\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"
        + "X-Company: acme\r\nhost: other\r\n\r\n")
  }

  @Test func only200IsSuccess() {
    #expect(failure("HTTP/1.1 204 No Content\r\n\r\n").contains("204 No Content"))
    #expect(failure("HTTP/1.1 302 Found\r\nLocation: x\r\n\r\n").contains("302 Found"))
    #expect(failure("HTTP/1.1 407 Wanted\r\n\r\n").contains("407 Wanted; it wants a user name"))
    var named = server()
    named.credentials = .init(username: "a", password: "hunter2")
    let refusal = failure("HTTP/1.1 407 Wanted\r\n\r\n", named)
    #expect(refusal.contains("does not accept the credentials") && !refusal.contains("hunter2"))
    #expect(failure("HTTP/1.1 101 Switching Protocols\r\n\r\n").contains("101"))
  }

  @Test func refusesWhatIsNotHTTP() {
    #expect(failure("SSH-2.0-OpenSSH").contains("not HTTP/1.1"))
    #expect(failure("HTTP/2.0 200 OK\r\n\r\n").contains("not HTTP/1.1"))
    #expect(failure("HTTP/1.1 200 OK\n\n").contains("not HTTP/1.1"))
    let huge = "HTTP/1.1 200 OK\r\nX: " + String(repeating: "y", count: 20_000)
    #expect(failure(huge).contains("larger than 16384 bytes"))
    #expect(failure(huge, inPieces: false).contains("larger than 16384 bytes"))
    #expect(failure("HTTP/1.1 200 OK\r\n") == "waits")
  }
}

struct SOCKS5DatagramTests {
  @Test func namesTheTarget() throws {
    #expect(
      try SOCKS5Datagram.header(to: ProxyTarget(host: "192.0.2.7", port: 443)) == [0, 0, 0, 1, 192, 0, 2, 7, 1, 0xBB])
    #expect(
      try SOCKS5Datagram.header(to: ProxyTarget(host: "edge", port: 1)) == [0, 0, 0, 3, 4] + "edge".utf8 + [0, 1])
    #expect(throws: Failure.self) { try SOCKS5Datagram.header(to: ProxyTarget(host: "", port: 1)) }
  }

  @Test(
    arguments: [
      ([0, 0, 0, 1, 1, 2, 3, 4, 0, 1, 42], 10), ([0, 0, 0, 1, 1, 2, 3, 4, 0, 1], 10),
      ([0, 0, 0, 3, 1, 65, 0, 1, 42], 8),
      ([0, 0, 0, 4] + [UInt8](repeating: 0, count: 19), 22), ([0, 0, 1, 1, 1, 2, 3, 4, 0, 1, 42], nil),
      ([1, 0, 0, 1, 1, 2, 3, 4, 0, 1, 42], nil), ([0, 0, 0, 2, 1, 2, 3, 4, 0, 1, 42], nil),
      ([0, 0, 0, 3, 9, 65, 0, 1], nil),
      ([0, 0, 0], nil), ([], nil),
    ] as [([UInt8], Int?)])
  func findsThePayload(_ datagram: [UInt8], _ start: Int?) {
    #expect(datagram.withUnsafeBytes { SOCKS5Datagram.payloadStart(of: $0) } == start)
  }
}
