// SPDX-License-Identifier: Apache-2.0
@testable import RstreamNet

/// Writes down what a parser finds, so that one parse can be compared with another.
final class HTTP1Recorder: HTTP1Receiver {
  var requests: [HTTP1Request] = []
  var responses: [HTTP1Response] = []
  var body: [UInt8] = []
  var trailers: [String] = []
  var ends = 0
  /// Bytes of the input that follow the last message and were not read.
  var rest: [UInt8] = []

  func received(_ request: HTTP1Request) { requests.append(request) }
  func received(_ response: HTTP1Response) { responses.append(response) }
  func receivedBody(_ bytes: UnsafeRawBufferPointer) { body.append(contentsOf: bytes) }
  func receivedTrailers(_ trailers: HTTPHeaders) { self.trailers = fields(trailers) }
  func receivedEnd() { ends += 1 }

  var bodyText: String { String(decoding: body, as: UTF8.self) }

  /// Everything in one text.
  var summary: String {
    var lines: [String] = []
    for request in requests {
      let head = request.head
      lines.append("\(head.method) \(head.authority) \(String(decoding: head.path, as: UTF8.self)) \(request.body)")
      lines.append("\(request.minorVersion) \(request.keepsAlive) \(request.expectsContinue) \(head.upgrade ?? "-")")
      lines += fields(head.headers)
    }
    for response in responses {
      lines.append("\(response.head.status) \(response.head.reason) \(response.body) \(response.endsHTTP)")
      lines.append("\(response.minorVersion) \(response.keepsAlive)")
      lines += fields(response.head.headers)
    }
    return (lines + [bodyText] + trailers + ["\(ends)"]).joined(separator: "\n")
  }
}

func fields(_ headers: HTTPHeaders) -> [String] {
  (0..<headers.count).compactMap { headers[$0].map { "\($0.name): \($0.value)" } }
}

/// Feeds a parser with messages, at most `pieceLength` bytes at a time, as long as it takes them.
func parse(
  _ parser: HTTP1Parser, _ text: String, pieceLength: Int = .max, messages: Int = 1
) throws -> HTTP1Recorder {
  try parse(parser, Array(text.utf8), pieceLength: pieceLength, messages: messages)
}

func parse(
  _ parser: HTTP1Parser, _ bytes: [UInt8], pieceLength: Int = .max, messages: Int = 1
) throws -> HTTP1Recorder {
  let recorder = HTTP1Recorder()
  var position = 0
  while position < bytes.count, recorder.ends < messages {
    let end = pieceLength < bytes.count - position ? position + pieceLength : bytes.count
    // A piece of its own, so that reading beyond it is seen by sanitizers.
    let piece = Array(bytes[position..<end])
    position += try piece.withUnsafeBytes { try parser.feed($0, to: recorder) }
  }
  recorder.rest = Array(bytes[position...])
  return recorder
}

func requestParser(_ limits: HTTP1Limits = HTTP1Limits()) -> HTTP1Parser {
  HTTP1Parser(.requests(scheme: "https"), limits: limits)
}

/// Parses one request in one piece, byte by byte and in pieces between, and makes sure that it makes no difference.
func parseRequest(_ text: String) throws -> HTTP1Recorder {
  let whole = try parse(requestParser(), text)
  for length in [1, 2, 3, 7, 64] {
    let pieces = try parse(requestParser(), text, pieceLength: length)
    guard pieces.summary == whole.summary, pieces.rest == whole.rest else {
      throw HTTP1Error(500, "in pieces of \(length): \(pieces.summary), whole: \(whole.summary)")
    }
  }
  return whole
}

func parseResponse(_ text: String, to answered: HTTP1Parser.Answered = .other) throws -> HTTP1Recorder {
  func parser() -> HTTP1Parser {
    let parser = HTTP1Parser(.responses)
    parser.answered = answered
    return parser
  }
  let whole = try parse(parser(), text)
  for length in [1, 2, 3, 7, 64] {
    let pieces = try parse(parser(), text, pieceLength: length)
    guard pieces.summary == whole.summary, pieces.rest == whole.rest else {
      throw HTTP1Error(500, "in pieces of \(length): \(pieces.summary), whole: \(whole.summary)")
    }
  }
  return whole
}
