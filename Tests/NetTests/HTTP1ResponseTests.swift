// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RstreamNet

@Suite struct HTTP1ResponseTests {
  @Test func takesAHeadApart() throws {
    let recorder = try parseResponse(
      "HTTP/1.1 404 Not  Found\r\nContent-Length: 2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nnoX")
    let response = try #require(recorder.responses.first)
    #expect(response.head.status == 404)
    #expect(response.head.reason == "Not  Found")
    #expect(response.head.headers.all("set-cookie") == ["a", "b"])
    #expect(response.body == .bytes(2))
    #expect(response.keepsAlive)
    #expect(recorder.bodyText == "no")
    #expect(recorder.rest == [0x58])
  }

  @Test(arguments: ["HTTP/1.1 200 \r\n", "HTTP/1.1 200\r\n"])
  func theReasonIsOptional(line: String) throws {
    let recorder = try parseResponse("\(line)Content-Length: 0\r\n\r\n")
    #expect(recorder.responses.first?.head.reason == "")
    #expect(recorder.ends == 1)
  }

  @Test func withoutALengthTheConnectionEndsTheBody() throws {
    let parser = HTTP1Parser(.responses)
    let recorder = try parse(parser, "HTTP/1.0 200 OK\r\n\r\nall of it\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
    #expect(recorder.responses.count == 1)
    #expect(recorder.responses.first?.body == .untilClose)
    #expect(recorder.responses.first?.keepsAlive == false)
    #expect(recorder.bodyText == "all of it\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
    #expect(recorder.ends == 0)
    try parser.finish(to: recorder)
    #expect(recorder.ends == 1)
    #expect(parser.isIdle)
  }

  @Test(arguments: ["204 No Content", "304 Not Modified"])
  func someStatusesHaveNoBody(status: String) throws {
    let recorder = try parseResponse("HTTP/1.1 \(status)\r\nContent-Length: 5\r\n\r\nnext")
    #expect(recorder.responses.first?.body == HTTPBodyLength.none)
    #expect(recorder.responses.first?.head.headers.first("Content-Length") == "5")
    #expect(recorder.ends == 1)
    #expect(recorder.rest.count == 4)
  }

  @Test func responsesToHeadHaveNoBody() throws {
    for field in ["Content-Length: 5", "Transfer-Encoding: chunked", "X: y"] {
      let recorder = try parseResponse("HTTP/1.1 200 OK\r\n\(field)\r\n\r\nHTTP", to: .head)
      #expect(recorder.responses.first?.body == HTTPBodyLength.none)
      #expect(recorder.ends == 1)
      #expect(recorder.rest.count == 4)
    }
  }

  @Test func interimResponsesComeFirst() throws {
    let recorder = try parseResponse(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!"
    )
    #expect(recorder.responses.map(\.head.status) == [100, 103, 200])
    #expect(recorder.responses.map(\.head.isInterim) == [true, true, false])
    #expect(recorder.ends == 1)
    #expect(recorder.bodyText == "!")
  }

  @Test func switchingProtocolsLeavesTheRestAlone() throws {
    let recorder = try parseResponse(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\u{1}x")
    #expect(recorder.responses.first?.endsHTTP == true)
    #expect(recorder.ends == 1)
    #expect(recorder.rest.count == 2)
  }

  @Test func successToConnectLeavesTheRestAlone() throws {
    let recorder = try parseResponse("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nraw", to: .connect)
    #expect(recorder.responses.first?.endsHTTP == true)
    #expect(recorder.rest.count == 3)
    let refused = try parseResponse("HTTP/1.1 405 No\r\nContent-Length: 3\r\n\r\nraw", to: .connect)
    #expect(refused.responses.first?.endsHTTP == false)
    #expect(refused.bodyText == "raw")
  }

  @Test func chunkedAnswersHaveTrailers() throws {
    let recorder = try parseResponse(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1  \r\na\r\n0\r\nX: 1\r\nY: 2\r\n\r\n")
    #expect(recorder.bodyText == "a")
    #expect(recorder.trailers == ["X: 1", "Y: 2"])
  }

  @Test(arguments: [
    "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 OK\r\n\r\n",
    "ICY 200 OK\r\n\r\n",
    "HTTP/1.1 200 OK\nX: y\r\n\r\n", "HTTP/1.1 200 OK\r\nX : y\r\n\r\n", "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n",
    "HTTP/1.1 200 O\u{1}K\r\n\r\n", "\r\nHTTP/1.1 200 OK\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  ])
  func malformedResponsesAreRefused(text: String) {
    for length in [Int.max, 1] {
      #expect(throws: HTTP1Error.self) { try parse(HTTP1Parser(.responses), text, pieceLength: length) }
    }
  }

  @Test func aBodyCutOffIsAnError() throws {
    for text in [
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
    ] {
      let parser = HTTP1Parser(.responses)
      let recorder = try parse(parser, text)
      #expect(throws: HTTP1Error.self) { try parser.finish(to: recorder) }
      #expect(recorder.ends == 0)
    }
  }
}
