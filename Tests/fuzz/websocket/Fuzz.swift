// SPDX-License-Identifier: Apache-2.0
@testable import RstreamNet

// Any bytes as frames, to either side: in one piece and in many they are the same events and get the same answers, what is
// answered is in order, and a message comes out as it went in. The same bytes as a handshake's answer.

private let limit = 300

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: start, count: count))
  guard let kind = input.first else { return 0 }
  let bytes = Array(input.dropFirst())
  switch kind {
  case UInt8(ascii: "s"): checkFrames(.server, bytes)
  case UInt8(ascii: "c"): checkFrames(.client, bytes)
  case UInt8(ascii: "m"): checkMessage(bytes)
  default: checkHandshake(bytes)
  }
  return 0
}

private func expect(_ condition: Bool, _ what: @autoclosure () -> String) {
  if !condition { fatalError(what()) }
}

private func checkFrames(_ role: WebSocketCodec.Role, _ bytes: [UInt8]) {
  let whole = read(role, bytes, pieces: [])
  let random = read(role, bytes, pieces: bytes.prefix(16).map { Int($0 & 15) + 1 })
  let single = read(role, bytes, pieces: [1])
  expect(whole.events == single.events, "byte by byte:\n\(single.events)\nwhole:\n\(whole.events)")
  expect(whole.events == random.events, "in pieces:\n\(random.events)\nwhole:\n\(whole.events)")
  var pings = 0
  for (index, event) in whole.events.enumerated() {
    switch event {
    case .message(let message, let isText):
      expect(message.count <= limit, "a message of \(message.count) bytes")
      expect(!isText || String(validating: message, as: UTF8.self) != nil, "text that is no UTF-8")
    case .ping: pings += 1
    case .pong: break
    case .closed, .violated: expect(index == whole.events.count - 1, "more after the end")
    }
  }
  // The answers are what the other side understands: a pong for each ping, then the end.
  let other: WebSocketCodec.Role = role == .server ? .client : .server
  let answers = read(other, whole.answer, pieces: []).events
  expect(answers.prefix(pings).allSatisfy { $0 == .pong }, "answers: \(answers)")
  switch whole.events.last {
  case .closed(let code, _): expect(answers.dropFirst(pings) == [.closed(code: code, reason: "")], "\(answers)")
  case .violated(let code): expect(answers.dropFirst(pings) == [.closed(code: code, reason: "")], "\(answers)")
  default: expect(answers.count == pings, "\(answers)")
  }
}

private func read(
  _ role: WebSocketCodec.Role, _ bytes: [UInt8], pieces: [Int]
) -> (events: [WebSocketCodec.Event], answer: [UInt8]) {
  let codec = WebSocketCodec(role, limit: limit)
  var events: [WebSocketCodec.Event] = []
  var (position, turn) = (0, 0)
  while position < bytes.count {
    let size = pieces.isEmpty ? bytes.count : pieces[turn % pieces.count]
    turn += 1
    // A piece of its own, so that AddressSanitizer sees a step over its end.
    let piece = Array(bytes[position..<min(position + size, bytes.count)])
    events += piece.withUnsafeBytes { codec.feed($0) }
    position += piece.count
  }
  return (events, codec.takeOutput())
}

private func checkMessage(_ bytes: [UInt8]) {
  let text = Array(String(decoding: bytes, as: UTF8.self).utf8)
  for role in [WebSocketCodec.Role.client, .server] {
    let sender = WebSocketCodec(role, limit: limit)
    let receiver = WebSocketCodec(role == .client ? .server : .client, limit: text.count)
    sender.send(text: text)
    sender.close(1000)
    let events = sender.takeOutput().withUnsafeBytes { receiver.feed($0) }
    expect(events == [.message(text, isText: true), .closed(code: 1000, reason: "")], "\(events)")
  }
}

private final class Answer: HTTP1Receiver {
  func received(_ response: HTTP1Response) {
    for key in ["dGhlIHNhbXBsZSBub25jZQ==", response.head.headers.first("sec-websocket-key") ?? ""] {
      let objection = WebSocketHandshake.objection(to: response.head, key: key)
      let accepts = response.head.headers.all("sec-websocket-accept")
      expect(objection != nil || accepts == [WebSocketHandshake.accept(for: key)], "agreed to another key")
    }
  }

  func received(_ request: HTTP1Request) {
    let head = request.head
    expect(!head.isWebSocketUpgrade || head.method == "CONNECT" || head.webSocketKey != nil, "no key")
    if let key = head.webSocketKey { expect(Base64.decode(key)?.count == 16, "a key of another length") }
  }

  func receivedBody(_ bytes: UnsafeRawBufferPointer) {}
  func receivedEnd() {}
}

private func checkHandshake(_ bytes: [UInt8]) {
  let answer = Answer()
  for role in [HTTP1Parser.Role.responses, .requests(scheme: "https")] {
    _ = try? bytes.withUnsafeBytes { try HTTP1Parser(role).feed($0, to: answer) }
  }
}
