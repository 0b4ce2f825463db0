// SPDX-License-Identifier: Apache-2.0

/// How long a message is and whether another may follow on the connection (RFC 9112 6.3 and 9.3).
enum HTTP1Framing {
  static func requestBody(_ headers: HTTPHeaders, minorVersion: Int) throws(HTTP1Error) -> HTTPBodyLength {
    if try isChunked(headers, minorVersion: minorVersion) { return .streamed }
    return try contentLength(headers).map { $0 == 0 ? .none : .bytes($0) } ?? .none
  }

  static func responseBody(
    _ head: HTTPResponseHead, minorVersion: Int, answers request: HTTP1Parser.Answered
  ) throws(HTTP1Error) -> HTTPBodyLength {
    let chunked = try isChunked(head.headers, minorVersion: minorVersion)
    let length = try contentLength(head.headers)
    if request == .head || head.status < 200 || head.status == 204 || head.status == 304 { return .none }
    if request == .connect, head.status < 300 { return .none }
    if chunked { return .streamed }
    return length.map { $0 == 0 ? .none : .bytes($0) } ?? .untilClose
  }

  static func keepsAlive(_ headers: HTTPHeaders, minorVersion: Int) -> Bool {
    if headers.contains("connection", token: "close") { return false }
    return minorVersion >= 1 || headers.contains("connection", token: "keep-alive")
  }

  /// Chunked is the one coding that is taken: others would have to be undone to mark the end of the message.
  private static func isChunked(_ headers: HTTPHeaders, minorVersion: Int) throws(HTTP1Error) -> Bool {
    guard headers.contains("transfer-encoding") else { return false }
    guard minorVersion >= 1 else { throw HTTP1Error("Transfer-Encoding in an HTTP/1.0 message") }
    guard !headers.contains("content-length") else {
      throw HTTP1Error("both Content-Length and Transfer-Encoding are set")
    }
    let codings = headers.listElements("transfer-encoding").map { equalsIgnoringCase($0.utf8, "chunked".utf8) }
    guard codings.last == true, !codings.dropLast().contains(true) else {
      throw HTTP1Error("chunked is not the last Transfer-Encoding, once")
    }
    guard codings.count == 1 else { throw HTTP1Error(501, "the only Transfer-Encoding taken is chunked") }
    return true
  }

  private static func contentLength(_ headers: HTTPHeaders) throws(HTTP1Error) -> UInt64? {
    guard let text = headers.first("content-length") else { return nil }
    guard headers.count(of: "content-length") == 1 else { throw HTTP1Error("Content-Length is set more than once") }
    guard (1...19).contains(text.utf8.count), text.utf8.allSatisfy(HTTPCharacter.isDigit), let length = UInt64(text),
      length <= UInt64(Int64.max)
    else { throw HTTP1Error("Content-Length is not a number") }
    return length
  }
}
