// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RstreamNet

struct WebSocketCodecTests {
  /// A frame as RFC 6455 5.2 draws it, with a length of the form asked for.
  private static func frame(
    _ opcode: UInt8, _ payload: [UInt8] = [], masked: Bool, fin: Bool = true, rsv: UInt8 = 0, form: Int? = nil
  ) -> [UInt8] {
    var bytes = [(fin ? 0x80 : 0) | rsv << 4 | opcode]
    let form = form ?? (payload.count < 126 ? 1 : payload.count < 65_536 ? 2 : 8)
    let mark: UInt8 = masked ? 0x80 : 0
    if form == 1 {
      bytes.append(mark | UInt8(payload.count))
    } else {
      bytes.append(mark | (form == 2 ? 126 : 127))
      for shift in stride(from: (form - 1) * 8, through: 0, by: -8) {
        bytes.append(UInt8(truncatingIfNeeded: payload.count >> shift))
      }
    }
    guard masked else { return bytes + payload }
    let mask: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]
    return bytes + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] }
  }

  private static func close(_ code: UInt16, _ reason: String = "", masked: Bool) -> [UInt8] {
    frame(8, [UInt8(code >> 8), UInt8(code & 255)] + Array(reason.utf8), masked: masked)
  }

  /// The events in bytes that come in pieces of a size, and what is answered.
  private func read(
    _ role: WebSocketCodec.Role, _ bytes: [UInt8], pieces: Int = .max, limit: Int = 1000
  ) -> (events: [WebSocketCodec.Event], answer: [UInt8]) {
    let codec = WebSocketCodec(role, limit: limit)
    var events: [WebSocketCodec.Event] = []
    var position = 0
    while position < bytes.count {
      let end = position + min(pieces, bytes.count - position)
      events += bytes[position..<end].withUnsafeBytes { codec.feed($0) }
      position = end
    }
    return (events, codec.takeOutput())
  }

  private func text(_ text: String) -> WebSocketCodec.Event { .message(Array(text.utf8), isText: true) }

  @Test(arguments: [WebSocketCodec.Role.client, .server])
  func messagesAreTheSameInAnyPieces(role: WebSocketCodec.Role) {
    let masked = role == .server
    let long = [UInt8](repeating: 0x78, count: 70_000)
    let bytes =
      Self.frame(1, Array("héllo".utf8), masked: masked) + Self.frame(1, masked: masked)
      + Self.frame(2, [0xFF, 0], masked: masked) + Self.frame(1, Array(long[..<300]), masked: masked)
      + Self.frame(2, long, masked: masked) + Self.frame(10, [1, 2], masked: masked)
      // In three frames, the second one empty, with a ping between them and a character cut in two.
      + Self.frame(1, [0x61, 0xC3], masked: masked, fin: false) + Self.frame(0, masked: masked, fin: false)
      + Self.frame(9, [7], masked: masked) + Self.frame(0, [0xA9], masked: masked)
    let expected: [WebSocketCodec.Event] = [
      text("héllo"), text(""), .message([0xFF, 0], isText: false), text(String(repeating: "x", count: 300)),
      .message(long, isText: false), .pong, .ping, text("aé"),
    ]
    for pieces in [1, 2, 7, 5000, .max] {
      let (events, answer) = read(role, bytes, pieces: pieces, limit: 70_000)
      #expect(events == expected)
      #expect(answer.first == 0x8A && answer.count == (masked ? 3 : 7))
    }
  }

  @Test(arguments: [
    ("not masked", frame(1, [0x61], masked: false), 1002), ("a reserved bit", frame(1, masked: true, rsv: 4), 1002),
    ("a reserved opcode", frame(3, masked: true), 1002), ("a reserved control opcode", frame(11, masked: true), 1002),
    ("a continuation of nothing", frame(0, masked: true), 1002),
    ("a message inside another", frame(1, masked: true, fin: false) + frame(1, masked: true), 1002),
    ("a ping in parts", frame(9, masked: true, fin: false), 1002),
    ("a long ping", frame(9, [UInt8](repeating: 0, count: 126), masked: true), 1002),
    ("a length in too many bytes", frame(1, [0x61], masked: true, form: 2), 1002),
    ("a length in far too many bytes", frame(1, [0x61], masked: true, form: 8), 1002),
    ("a negative length", [0x82, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], 1002),
    ("text that is no UTF-8", frame(1, [0x61, 0xFF], masked: true), 1007),
    ("text that ends in a character", frame(1, [0xC3], masked: true), 1007),
    ("a surrogate", frame(1, [0xED, 0xA0, 0x80], masked: true), 1007),
    ("a large message", frame(2, [UInt8](repeating: 0, count: 1001), masked: true), 1009),
    ("a huge message", [0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4], 1009),
    (
      "a large message in parts",
      frame(2, [UInt8](repeating: 0, count: 600), masked: true, fin: false)
        + frame(0, [UInt8](repeating: 0, count: 401), masked: true), 1009
    ),
    ("a code that is never sent", close(1005, masked: true), 1002), ("no known code", close(999, masked: true), 1002),
    ("half a code", frame(8, [3], masked: true), 1002),
    ("a reason that is no UTF-8", frame(8, [3, 0xE8, 0xFF], masked: true), 1007),
  ])
  func whoBreaksTheRulesIsTold(what: String, bytes: [UInt8], code: UInt16) {
    for pieces in [1, .max] {
      let (events, answer) = read(.server, bytes + Self.frame(1, masked: true), pieces: pieces)
      #expect(events == [.violated(code: code)], "\(what)")
      #expect(answer == Self.close(code, masked: false), "\(what)")
    }
  }

  @Test func aServerThatMasksBreaksTheRules() {
    let (events, answer) = read(.client, Self.frame(1, [0x61], masked: true))
    #expect(events == [.violated(code: 1002)])
    #expect(answer.count == 8 && answer.prefix(2) == [0x88, 0x82])
  }

  @Test func closingIsAgreedTo() {
    let after = Self.frame(1, masked: true)
    var (events, answer) = read(.server, Self.close(1001, "bye é", masked: true) + after)
    #expect(events == [.closed(code: 1001, reason: "bye é")])
    #expect(answer == Self.close(1001, masked: false))
    (events, answer) = read(.server, Self.frame(8, masked: true) + after)
    #expect(events == [.closed(code: 1005, reason: "")])
    #expect(answer == [0x88, 0])
    (events, _) = read(.server, Self.close(4999, masked: true))
    #expect(events == [.closed(code: 4999, reason: "")])
  }

  @Test func closingHereFirst() {
    let codec = WebSocketCodec(.server, limit: 1000)
    codec.close(1001, "gone")
    codec.close(1000)
    codec.send(text: [0x61])
    codec.ping()
    #expect(codec.takeOutput() == Self.close(1001, "gone", masked: false))
    // What was on its way is still read.
    let bytes = Self.frame(1, [0x61], masked: true) + Self.frame(9, masked: true) + Self.close(1001, masked: true)
    let events = bytes.withUnsafeBytes { codec.feed($0) }
    #expect(events == [text("a"), .ping, .closed(code: 1001, reason: "")])
    #expect(codec.takeOutput().isEmpty)
    #expect(Self.frame(1, masked: true).withUnsafeBytes { codec.feed($0) } == [])
    let other = WebSocketCodec(.server, limit: 1000)
    other.close(1000)
    #expect(Self.frame(3, masked: true).withUnsafeBytes { other.feed($0) }.count == 1)
    let broken = WebSocketCodec(.server, limit: 1000)
    broken.close(1000)
    _ = broken.takeOutput()
    #expect(Self.frame(9, masked: true, fin: false).withUnsafeBytes { broken.feed($0) }.count == 1)
    #expect(broken.takeOutput().isEmpty)
  }

  @Test func bothSidesUnderstandEachOther() {
    let client = WebSocketCodec(.client, limit: 100_000)
    let server = WebSocketCodec(.server, limit: 100_000)
    for size in [0, 1, 125, 126, 65_535, 65_536, 100_000] {
      let message = [UInt8](repeating: 0x61, count: size)
      for (sender, receiver) in [(client, server), (server, client)] {
        sender.send(text: message)
        sender.ping()
        let bytes = sender.takeOutput()
        // Whole messages in one frame each; only a client masks.
        #expect(bytes[0] == 0x81 && bytes[1] & 0x80 == (sender === client ? 0x80 : 0))
        #expect(bytes.withUnsafeBytes { receiver.feed($0) } == [.message(message, isText: true), .ping])
        #expect(receiver.takeOutput().withUnsafeBytes { sender.feed($0) } == [.pong])
      }
    }
    client.send(text: [0x61])
    client.send(text: [0x61])
    let twice = client.takeOutput()
    #expect(twice.count == 14 && twice[2..<6] != twice[9..<13], "the same mask twice")
  }
}
