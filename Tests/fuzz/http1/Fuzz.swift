// SPDX-License-Identifier: Apache-2.0
import RstreamNet

// Any bytes as requests or responses: in one piece and in many they are the same messages, and what was read can be
// written and read again.

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: start, count: count))
  guard let kind = input.first else { return 0 }
  let bytes = Array(input.dropFirst())
  let whole = Trace(kind, bytes, pieces: [])
  let random = Trace(kind, bytes, pieces: input.prefix(16).map { Int($0 & 15) + 1 })
  let single = Trace(kind, bytes, pieces: [1])
  expect(whole.text == random.text, "in pieces:\n\(random.text)\nwhole:\n\(whole.text)")
  expect(whole.text == single.text, "byte by byte:\n\(single.text)\nwhole:\n\(whole.text)")
  for request in whole.requests { checkRoundTrip(request) }
  return 0
}

private func expect(_ condition: Bool, _ what: @autoclosure () -> String) {
  if !condition { fatalError(what()) }
}

private func checkRoundTrip(_ request: HTTP1Request) {
  var head = request.head
  let websocket = head.isWebSocketUpgrade
  head.headers.removeHopByHop()
  // An empty Host is allowed to HTTP/1.0 only.
  if head.authority.isEmpty { head.authority = "a" }
  var written: [UInt8] = []
  HTTP1Serializer.append(head, connection: websocket ? .upgrade("websocket") : .persistent, to: &written)
  let again = Trace(UInt8(ascii: "r"), written, pieces: [], messages: 1)
  guard let read = again.requests.first else { fatalError("cannot read what was written: \(again.text)") }
  expect(read.head.method == head.method && read.head.path == head.path, "another target: \(again.text)")
  expect(read.head.isWebSocketUpgrade == websocket, "upgrade lost")
  expect(read.head.headers.count >= head.headers.count, "headers lost: \(again.text)")
}

/// What a parser finds in bytes, as text.
private final class Trace: HTTP1Receiver {
  private(set) var requests: [HTTP1Request] = []
  private(set) var text = ""
  private var body: [UInt8] = []
  private var ends = 0

  init(_ kind: UInt8, _ bytes: [UInt8], pieces: [Int], messages: Int = .max) {
    let parser = HTTP1Parser(kind == UInt8(ascii: "r") ? .requests(scheme: "https") : .responses)
    if kind == UInt8(ascii: "h") { parser.answered = .head }
    if kind == UInt8(ascii: "c") { parser.answered = .connect }
    var position = 0
    var turn = 0
    do {
      while position < bytes.count, ends < messages {
        let length = pieces.isEmpty ? bytes.count : pieces[turn % pieces.count]
        turn += 1
        // A piece of its own, so that AddressSanitizer sees a step over its end.
        let piece = Array(bytes[position..<min(position + length, bytes.count)])
        let before = ends
        let used = try piece.withUnsafeBytes { try parser.feed($0, to: self) }
        expect(used <= piece.count && (used == piece.count || ends == before + 1), "read \(used) of \(piece.count)")
        position += used
      }
      text += "\(position)\n"
      try parser.finish(to: self)
    } catch {
      text += "\(error)\n"
    }
    text += String(decoding: body, as: UTF8.self)
  }

  func received(_ request: HTTP1Request) {
    requests.append(request)
    note("\(request.head.method) \(request.head.authority) \(request.head.path) \(request.body)", request.head.headers)
  }

  func received(_ response: HTTP1Response) {
    note("\(response.head.status) \(response.head.reason) \(response.body)", response.head.headers)
  }

  func receivedBody(_ bytes: UnsafeRawBufferPointer) {
    expect(!bytes.isEmpty, "an empty piece of body")
    body.append(contentsOf: bytes)
  }

  func receivedTrailers(_ trailers: HTTPHeaders) { note("trailers", trailers) }

  func receivedEnd() {
    ends += 1
    text += "end\n"
  }

  private func note(_ line: String, _ headers: HTTPHeaders) {
    text += line + "\n"
    headers.forEachField { name, value in
      text += "\(String(decoding: name, as: UTF8.self)): \(Array(value))\n"
    }
  }
}
