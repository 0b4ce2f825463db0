// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RstreamNet

@Suite struct HTTP1SerializerTests {
  private func text(_ write: (inout [UInt8]) -> Void) -> String {
    var output: [UInt8] = []
    write(&output)
    return String(decoding: output, as: UTF8.self)
  }

  private func headers(_ fields: KeyValuePairs<String, String>) -> HTTPHeaders {
    var headers = HTTPHeaders()
    for (name, value) in fields { headers.append(name, value) }
    return headers
  }

  @Test func writesRequests() {
    let head = HTTPRequestHead(
      method: "POST", scheme: "https", authority: "a:1", path: Array("/x?%20".utf8),
      headers: headers(["Content-Length": "3", "Connection": "x", "TE": "trailers", "Host": "spoofed"]))
    #expect(
      text { HTTP1Serializer.append(head, to: &$0) }
        == "POST /x?%20 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 3\r\nTE: trailers\r\n\r\n")
    #expect(
      text { HTTP1Serializer.append(head, chunked: true, connection: .close, to: &$0) }
        == "POST /x?%20 HTTP/1.1\r\nHost: a:1\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    let connect = HTTPRequestHead(method: "CONNECT", scheme: "", authority: "t:9", path: [])
    #expect(
      text { HTTP1Serializer.append(connect, to: &$0) } == "CONNECT t:9 HTTP/1.1\r\nHost: t:9\r\n\r\n")
    let upgrade = HTTPRequestHead(method: "GET", scheme: "https", authority: "a", path: [0x2F], upgrade: "websocket")
    #expect(
      text { HTTP1Serializer.append(upgrade, connection: .upgrade("websocket"), to: &$0) }
        == "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
  }

  @Test func writesResponses() {
    let head = HTTPResponseHead(status: 200, reason: "OK", headers: headers(["A": "b", "Transfer-Encoding": "x"]))
    #expect(
      text { HTTP1Serializer.append(head, connection: .keepAlive, to: &$0) }
        == "HTTP/1.1 200 OK\r\nA: b\r\nConnection: keep-alive\r\n\r\n")
    #expect(text { HTTP1Serializer.append(HTTPResponseHead(status: 7), to: &$0) } == "HTTP/1.1 100 \r\n\r\n")
  }

  @Test func nothingCanBreakOutOfItsLine() {
    var evil = headers(["X": "a\r\nSet-Cookie: b\0", "Bad Name": "x", "": "y", "A\r\nB": "c"])
    evil.set("Y", "\n")
    let head = HTTPRequestHead(
      method: "GE\r\nT", scheme: "", authority: "a\r\nX: y", path: Array("/ HTTP/1.1\r\nEvil: 1".utf8),
      headers: evil)
    #expect(
      text { HTTP1Serializer.append(head, connection: .upgrade("w\r\nZ: 1"), to: &$0) }
        == "GET /%20HTTP/1.1%0d%0aEvil:%201 HTTP/1.1\r\nHost: a  X: y\r\nX: a  Set-Cookie: b \r\nY:  \r\n"
        + "Connection: Upgrade\r\nUpgrade: w  Z: 1\r\n\r\n")
  }

  @Test func writesChunks() throws {
    for (count, line) in [
      (1, "1\r\n"), (15, "f\r\n"), (16, "10\r\n"), (65_535, "ffff\r\n"), (65_536, "10000\r\n"), (0, ""),
    ] {
      #expect(text { HTTP1Serializer.appendChunkStart(count, to: &$0) } == line)
    }
    #expect(text { HTTP1Serializer.appendLastChunk(to: &$0) } == "0\r\n\r\n")
    #expect(
      text { HTTP1Serializer.appendLastChunk(trailers: headers(["X": "1", "Content-Length": "2"]), to: &$0) }
        == "0\r\nX: 1\r\n\r\n")
  }

  @Test func whatIsWrittenIsReadBack() throws {
    let request = HTTPRequestHead(
      method: "PUT", scheme: "https", authority: "a", path: Array("/p".utf8),
      headers: headers(["X-A": "1", "x-a": "2"]))
    var output: [UInt8] = []
    HTTP1Serializer.append(request, chunked: true, to: &output)
    for part in ["one", "two and more than sixteen bytes"] {
      HTTP1Serializer.appendChunkStart(part.utf8.count, to: &output)
      output += Array(part.utf8) + HTTP1Serializer.chunkEnd
    }
    HTTP1Serializer.appendLastChunk(trailers: headers(["T": "3"]), to: &output)
    let recorder = try parse(requestParser(), output)
    #expect(recorder.ends == 1 && recorder.rest.isEmpty)
    #expect(recorder.bodyText == "onetwo and more than sixteen bytes")
    #expect(recorder.trailers == ["T: 3"])
    #expect(
      recorder.requests.first.map { fields($0.head.headers) } == ["X-A: 1", "x-a: 2", "Transfer-Encoding: chunked"])
  }
}

@Suite struct HTTPHeadersTests {
  private func headers(_ fields: KeyValuePairs<String, String>) -> HTTPHeaders {
    var headers = HTTPHeaders()
    for (name, value) in fields { headers.append(name, value) }
    return headers
  }

  @Test func namesAreComparedInAnyCase() {
    var headers = headers(["Accept": "a", "ACCEPT": "b", "X": "c"])
    #expect(headers.first("accept") == "a")
    #expect(headers.all("Accept") == ["a", "b"])
    #expect(headers.count(of: "accept") == 2)
    #expect(headers.contains("x") && !headers.contains("y"))
    headers.set("aCCept", "d")
    #expect(headers.all("accept") == ["d"])
    headers.remove("X")
    headers.remove("nothing")
    #expect(headers.count == 1)
    #expect(headers[0]?.name == "aCCept")
    #expect(headers[1] == nil)
  }

  @Test func listsAreTakenApart() {
    let headers = headers(["Connection": " close , ,Upgrade", "connection": "x"])
    #expect(headers.listElements("connection") == ["close", "Upgrade", "x"])
    #expect(headers.contains("connection", token: "upgrade"))
    #expect(!headers.contains("connection", token: "upgrad"))
  }

  @Test func hopByHopFieldsStay() {
    var headers = headers([
      "Connection": "X-Private, Content-Length, Authorization, close", "X-Private": "1", "Content-Length": "2",
      "Authorization": "3", "Keep-Alive": "4", "Proxy-Connection": "5", "TE": "6", "Transfer-Encoding": "7",
      "Upgrade": "8", "Proxy-Authorization": "9", "X-Public": "10",
    ])
    var connect = headers
    headers.removeHopByHop()
    #expect(fields(headers) == ["Content-Length: 2", "Authorization: 3", "X-Public: 10"])
    connect.removeHopByHop(keepProxyCredentials: true)
    #expect(connect.contains("proxy-authorization"))
  }

  @Test(arguments: [("a", "a"), ("A:1", "a"), ("[::1]:8", "[::1]"), ("[::1]", "[::1]"), ("", ""), ("[x", "[x")])
  func hostsHaveNoPort(authority: String, host: String) {
    #expect(HTTPRequestHead(method: "GET", scheme: "", authority: authority, path: []).host == host)
  }

  @Test func tokenCharactersAreThoseOfTheRFC() {
    let tokens = Set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
    for byte in UInt8.min...UInt8.max { #expect(HTTPCharacter.isToken(byte) == tokens.contains(byte)) }
  }

  @Test func authorityCharactersAreThoseOfTheRFC() {
    let unreserved = "-._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    let allowed = Set((unreserved + "!$&'()*+,;=" + "%:[]").utf8)
    for byte in UInt8.min...UInt8.max { #expect(HTTPCharacter.isAuthority(byte) == allowed.contains(byte)) }
  }
}
