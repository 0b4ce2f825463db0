// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RstreamNet

@Suite struct HTTP1RequestTests {
  private func refusal(_ text: String, _ limits: HTTP1Limits = HTTP1Limits()) -> HTTP1Error? {
    for length in [Int.max, 1] {
      do {
        let recorder = try parse(requestParser(limits), text, pieceLength: length, messages: 2)
        if length == 1 { Issue.record("accepted: \(recorder.summary)") }
      } catch { if length == 1 { return error as? HTTP1Error } }
    }
    return nil
  }

  @Test func takesAHeadApart() throws {
    let recorder = try parseRequest(
      "GET /a%2Fb/../c//?q=%20&x HTTP/1.1\r\nHost: Example.com:8443\r\nAccept:\r\nX-A:  one \t\r\nx-a: two\r\n\r\nrest")
    let request = try #require(recorder.requests.first)
    #expect(request.head.method == "GET")
    #expect(request.head.scheme == "https")
    #expect(request.head.authority == "Example.com:8443")
    #expect(request.head.host == "example.com")
    #expect(String(decoding: request.head.path, as: UTF8.self) == "/a%2Fb/../c//?q=%20&x")
    #expect(fields(request.head.headers) == ["Accept: ", "X-A: one", "x-a: two"])
    #expect(request.body == .none)
    #expect(request.keepsAlive && !request.expectsContinue)
    #expect(recorder.ends == 1)
    #expect(String(decoding: recorder.rest, as: UTF8.self) == "rest")
  }

  @Test func bytesAboveASCIIStayAsTheyAre() throws {
    let bytes =
      Array("GET /".utf8) + [0xE9] + Array(" HTTP/1.1\r\nHost: a\r\nX: ".utf8) + [0xFF, 0x80] + Array("\r\n\r\n".utf8)
    let request = try #require(try parse(requestParser(), bytes).requests.first)
    #expect(request.head.path == [0x2F, 0xE9])
    var value: [UInt8] = []
    request.head.headers.forEachField {
      value = Array($1)
      _ = $0
    }
    #expect(value == [0xFF, 0x80])
  }

  @Test func bodiesAreCounted() throws {
    let recorder = try parseRequest("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /")
    #expect(recorder.requests.first?.body == .bytes(5))
    #expect(recorder.bodyText == "hello")
    #expect(recorder.ends == 1)
    #expect(String(decoding: recorder.rest, as: UTF8.self) == "GET /")
  }

  @Test func chunksAreJoined() throws {
    let recorder = try parseRequest(
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
        + "5\r\nhello\r\n00A ;name=\"v;\"\r\n, my world\r\n0\r\nX-Sum: 1\r\nContent-Length: 7\r\nHost: b\r\n\r\nnext")
    #expect(recorder.requests.first?.body == .streamed)
    #expect(recorder.bodyText == "hello, my world")
    #expect(recorder.trailers == ["X-Sum: 1"])
    #expect(recorder.ends == 1)
    #expect(String(decoding: recorder.rest, as: UTF8.self) == "next")
  }

  @Test func pipelinedRequestsComeOneByOne() throws {
    let text = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n"
    for length in [Int.max, 1, 5] {
      let parser = requestParser()
      let recorder = try parse(parser, text, pieceLength: length, messages: 2)
      #expect(recorder.requests.map(\.head.authority) == ["a", "b"])
      #expect(recorder.ends == 2)
      #expect(parser.isIdle)
    }
  }

  @Test func bodyBytesAreNotCopied() throws {
    final class Lender: HTTP1Receiver {
      var address: UnsafeRawPointer?
      func receivedBody(_ bytes: UnsafeRawBufferPointer) { address = bytes.baseAddress }
      func receivedEnd() {}
    }
    let text = Array("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello".utf8)
    let lender = Lender()
    try text.withUnsafeBytes { bytes in
      _ = try requestParser().feed(bytes, to: lender)
      #expect(lender.address == bytes.baseAddress.map { $0 + text.count - 5 })
    }
  }

  @Test func keepAliveFollowsVersionAndConnection() throws {
    func keepsAlive(_ version: String, _ connection: String?) throws -> Bool? {
      let line = connection.map { "Connection: \($0)\r\n" } ?? ""
      return try parseRequest("GET / HTTP/\(version)\r\nHost: a\r\n\(line)\r\n").requests.first?.keepsAlive
    }
    #expect(try keepsAlive("1.1", nil) == true)
    #expect(try keepsAlive("1.1", "x, Close") == false)
    #expect(try keepsAlive("1.0", nil) == false)
    #expect(try keepsAlive("1.0", "Keep-Alive") == true)
    #expect(try keepsAlive("1.0", "keep-alive, close") == false)
  }

  @Test func http10NeedsNoHost() throws {
    let request = try #require(try parseRequest("GET / HTTP/1.0\r\n\r\n").requests.first)
    #expect(request.head.authority == "")
    #expect(request.minorVersion == 0)
  }

  @Test func absoluteTargetsNameTheHost() throws {
    let request = try #require(
      try parseRequest("GET HTTP://Inner:81?q HTTP/1.1\r\nHost: outer\r\n\r\n").requests.first)
    #expect(request.head.authority == "Inner:81")
    #expect(String(decoding: request.head.path, as: UTF8.self) == "/?q")
    let options = try #require(try parseRequest("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n").requests.first)
    #expect(options.head.path == [0x2A])
    #expect(try parseRequest("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").requests.first?.head.path == [0x2A])
  }

  @Test func connectLeavesTheRestAlone() throws {
    let recorder = try parseRequest("CONNECT target:443 HTTP/1.1\r\nHost: a\r\n\r\n\u{16}\u{3}raw")
    #expect(recorder.requests.first?.head.authority == "target:443")
    #expect(recorder.requests.first?.head.path == [])
    #expect(recorder.ends == 1)
    #expect(String(decoding: recorder.rest, as: UTF8.self) == "\u{16}\u{3}raw")
  }

  @Test func upgradesAreSeen() throws {
    let head = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    let request = try #require(try parseRequest(head + key + "\r\n").requests.first)
    #expect(request.head.upgrade == "WebSocket")
    #expect(request.head.isWebSocketUpgrade)
    #expect(try parseRequest(head + "\r\n").requests.first?.head.isWebSocketUpgrade == false)
    let unasked = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\(key)\r\n"
    #expect(try parseRequest(unasked).requests.first?.head.upgrade == nil)
    let old = "GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\(key)\r\n"
    #expect(try parseRequest(old).requests.first?.head.upgrade == nil)
  }

  @Test func expectContinueIsSeen() throws {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-Continue\r\n\r\n"
    let recorder = try parse(requestParser(), head)
    #expect(recorder.requests.first?.expectsContinue == true)
    #expect(recorder.ends == 0)
  }

  @Test(arguments: ["GET", "M-SEARCH", "PROPFIND", "PATCH", "TRACE"])
  func methodsThatTheLibraryKnows(method: String) throws {
    #expect(try parseRequest("\(method) / HTTP/1.1\r\nHost: a\r\n\r\n").requests.first?.head.method == method)
  }

  @Test(arguments: [
    // What two implementations could read differently.
    "GET / HTTP/1.1\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\n",
    "GET / HTTP/1.1\rHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\rX",
    "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "GET / HTTP/1.1\r\nHost\r\n\r\n", "GET / HTTP/1.1\r\n: a\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX(: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: b\u{0}\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: \u{7F}\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nÄ: b\r\n\r\n",
    // The request line.
    "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "GET /\t HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /\r\nHost: a\r\n\r\n", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /#f HTTP/1.1\r\nHost: a\r\n\r\n", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://u@a/x HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT /x:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}",
    // Host.
    "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: a,\"b\"\r\n\r\n",
    // Length.
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999\r\n\r\n",
    "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    // Chunks.
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXX0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\rXabc\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF1\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1 2\r\na\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nb\r\na\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: a\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n x: a\r\n\r\n",
  ])
  func malformedRequestsGet400(text: String) {
    #expect(refusal(text)?.status == 400, "\(text)")
  }

  @Test(arguments: [
    ("QUERY / HTTP/1.1\r\nHost: a\r\n\r\n", 501), ("get / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
    ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505), ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 501),
    ("GET / HTTP/0.9\r\n\r\n", 505),
  ])
  func otherFaultsHaveTheirOwnStatus(text: String, status: Int) {
    #expect(refusal(text)?.status == status, "\(text)")
  }

  @Test func sizesAreLimited() throws {
    let long = String(repeating: "a", count: 40_000)
    #expect(refusal("GET /\(long) HTTP/1.1\r\nHost: a\r\n\r\n")?.status == 414)
    #expect(refusal("GET / HTTP/1.1\r\nHost: a\r\nX: \(long)\r\nY: \(long)\r\n\r\n")?.status == 431)
    let many = (0..<256).map { "X\($0): a\r\n" }.joined()
    #expect(refusal("GET / HTTP/1.1\r\nHost: a\r\n\(many)\r\n")?.status == 431)
    let fits = (0..<255).map { "X\($0): a\r\n" }.joined()
    #expect(try parseRequest("GET / HTTP/1.1\r\nHost: a\r\n\(fits)\r\n").requests.first?.head.headers.count == 255)
    #expect(try parseRequest("GET / HTTP/1.1\r\nHost: a\r\nX: \(long)\r\n\r\n").ends == 1)

    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    #expect(refusal("\(chunked)1;\(long)\r\n")?.status == 400)
    #expect(refusal("\(chunked)0\r\nX: \(long)\r\nY: \(long)\r\n\r\n")?.status == 431)
    var limits = HTTP1Limits()
    limits.headBytes = 100
    #expect(
      refusal("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "b", count: 100))\r\n\r\n", limits)?.status == 431)
  }

  @Test func aFailedParserStaysFailed() throws {
    let parser = requestParser()
    #expect(throws: HTTP1Error.self) { try parse(parser, "GET\r\n") }
    #expect(throws: HTTP1Error.self) { try parse(parser, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") }
    #expect(throws: HTTP1Error.self) { try parser.finish(to: HTTP1Recorder()) }
    #expect(!parser.isIdle)
  }

  @Test func aConnectionThatEndsInAMessageIsAnError() throws {
    let recorder = HTTP1Recorder()
    try requestParser().finish(to: recorder)
    #expect(recorder.ends == 0)
    for text in ["G", "GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na"] {
      let parser = requestParser()
      _ = try parse(parser, text)
      #expect(throws: HTTP1Error.self) { try parser.finish(to: recorder) }
    }
  }
}
