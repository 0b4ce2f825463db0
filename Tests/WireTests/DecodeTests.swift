// SPDX-License-Identifier: Apache-2.0
import RstreamWire
import Testing

/// A field of wire type 2.
private func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] {
  [number << 3 | 2, UInt8(content.count)] + content
}

@Suite("Reading messages") struct DecodeTests {
  @Test("ends at every byte without harm", arguments: vectors) func truncated(_ vector: Vector) {
    // Each vector is one field, so a part of it is an error.
    for length in 1..<vector.payload.count {
      #expect(throws: DecodeError.truncated) { try Message.decode(Array(vector.payload.prefix(length))) }
    }
  }

  @Test("takes no bytes for no message") func empty() throws {
    #expect(try Message.decode([]) == .unknown)
    #expect(Message.unknown.encoded().isEmpty)
    #expect(Message() == .unknown)
  }

  @Test("survives every change of every byte", arguments: vectors) func changed(_ vector: Vector) throws {
    for index in vector.payload.indices {
      for value in UInt8.min...UInt8.max {
        var payload = vector.payload
        payload[index] = value
        guard let message = try? Message.decode(payload) else { continue }
        #expect(try Message.decode(message.encoded()) == message)
      }
    }
  }

  @Test(
    "refuses what is not protobuf",
    arguments: [
      ("00 00", DecodeError.invalidFieldNumber),
      ("02 00", .invalidFieldNumber),
      ("7a 02 00 00", .invalidFieldNumber),
      ("0e 00", .invalidWireType),
      ("0f 00", .invalidWireType),
      ("0c", .unmatchedGroup),
      ("9b 01", .unmatchedGroup),
      ("9b 01 a4 01", .unmatchedGroup),
      ("7a 02 9b 01 9c 01", .unmatchedGroup),
      ("7a", .truncated),
      ("7a 05 08 01", .truncated),
      ("7a 01 08", .truncated),
      ("7a 02 08 80 01", .truncated),
      ("98 01 80", .truncated),
      ("99 01 00 00 00 00 00 00 00", .truncated),
      ("9d 01 00 00 00", .truncated),
      ("9a 01 02 00", .truncated),
      ("7a ff ff ff ff 0f", .truncated),
      ("7a ff ff ff ff 7f", .malformedVarint),
      ("7a 82 80 80 80 80 00 08 01", .malformedVarint),
      ("fa 80 80 80 80 00 02 08 01", .malformedVarint),
      ("fa ff ff ff 7f 00", .malformedVarint),
      ("7a 0c 08 ff ff ff ff ff ff ff ff ff ff 01", .malformedVarint),
    ])
  func malformed(_ hex: String, _ error: DecodeError) {
    #expect(throws: error) { try Message.decode(bytes(hex)) }
  }

  @Test("skips what it does not know, in every wire type") func unknown() throws {
    let unknown = [
      "98 01 ff ff ff ff ff ff ff ff ff 01", "99 01 00 01 02 03 04 05 06 07", "9a 01 03 ff ff ff", "9d 01 00 01 02 03",
      "9b 01 08 01 12 01 78 1b 1c 25 00 00 00 00 9c 01",
    ].map(bytes)
    let wanted = Message.heartbeat(Heartbeat(sequence: 1))
    for field in unknown {
      #expect(try Message.decode(field) == .unknown)
      #expect(try Message.decode(field + bytes("7a020801")) == wanted)
      #expect(try Message.decode(bytes("7a020801") + field) == wanted)
      #expect(try Message.decode([0x7a, UInt8(2 + field.count)] + field + bytes("0801")) == wanted)
    }
    // A field of the schema in another wire type is unknown too.
    #expect(try Message.decode(bytes("78 01")) == .unknown)
    #expect(try Message.decode(bytes("7a 05 0d 01 00 00 00")) == .heartbeat(Heartbeat()))
  }

  @Test("goes 100 levels deep and no deeper") func depth() throws {
    func groups(_ count: Int) -> [UInt8] {
      (0..<count).flatMap { _ in bytes("9b01") } + (0..<count).flatMap { _ in bytes("9c01") }
    }
    #expect(try Message.decode(groups(100)) == .unknown)
    #expect(throws: DecodeError.nestedTooDeep) { try Message.decode(groups(101)) }
    #expect(throws: DecodeError.nestedTooDeep) { try Message.decode(groups(30_000)) }
  }

  @Test("takes the last of a scalar that comes twice") func lastWins() throws {
    #expect(try Message.decode(bytes("7a 04 08 01 08 02")) == .heartbeat(Heartbeat(sequence: 2)))
    #expect(try Message.decode(bytes("7a 04 08 01 08 00")) == .heartbeat(Heartbeat()))
    #expect(try Message.decode(bytes("42 06 0a0161 0a0162")) == .closeTunnelRsp(CloseTunnelRsp(tunnelID: "b")))
  }

  @Test("merges a message that comes twice") func merge() throws {
    var both = Heartbeat(sequence: 1)
    both.acknowledgement = 2
    #expect(try Message.decode(bytes("7a020801 7a021002")) == .heartbeat(both))
    let details = try Message.decode(field(1, field(1, field(1, field(1, [0x61])) + field(2, field(1, [0x62])))))
    let parts = try Message.decode(
      field(1, field(1, field(1, field(1, [0x61])))) + field(1, field(1, field(2, field(1, [0x62])))))
    #expect(parts == details)
    #expect(
      parts == .openControlChannelReq(OpenControlChannelReq(clientDetails: ClientDetails(agent: "a", channel: "b"))))
  }

  @Test("takes the last member of a oneof") func oneof() throws {
    #expect(try Message.decode(bytes("7a020801 42030a0161")) == .closeTunnelRsp(CloseTunnelRsp(tunnelID: "a")))
    #expect(try Message.decode(bytes("7a020801 42030a0161 7a021002")) == .heartbeat(Heartbeat(acknowledgement: 2)))
    #expect(
      try Message.decode(bytes("72 07 0a0161 1202 0801"))
        == .streamRsp(StreamRsp(.error(PeerError(.init(rawValue: 1))))))
    #expect(try Message.decode(bytes("72 07 1202 0801 0a0161")) == .streamRsp(StreamRsp(.streamID("a"))))
    // A member is there even at its default.
    #expect(try Message.decode(bytes("72 02 0a00")) == .streamRsp(StreamRsp(.streamID(""))))
    #expect(StreamRsp(.streamID("")) != StreamRsp())
  }

  @Test("keeps codes it has no name for", arguments: [1, 12, 111, 8000, 999_999, -1, Int32.min, Int32.max])
  func openCode(_ value: Int32) throws {
    let message = Message.proxyRsp(ProxyRsp(error: PeerError(PeerError.Code(rawValue: value), "why")))
    #expect(try Message.decode(message.encoded()) == message)
  }

  @Test("cuts numbers to the width of their field") func width() throws {
    let code = try Message.decode(bytes("62 08 0a 06 08 d1 8f 80 80 10"))
    #expect(code == .proxyRsp(ProxyRsp(error: PeerError(.init(rawValue: 2001)))))
    let wide = try Message.decode(bytes("0a 08 12 06 08 81 80 80 80 10"))
    #expect(
      wide
        == .openControlChannelReq(
          OpenControlChannelReq(clientDetails: nil, liveness: ControlChannelLiveness(heartbeatIntervalMS: 1))))
    // Any bit makes a bool true.
    let flag = try Message.decode(bytes("6a 09 1a 07 08 80 80 80 80 80 20"))
    #expect(flag == .streamReq(StreamReq(clientDetails: nil, tunnelIDOrName: "", zeroRTT: true)))
  }

  @Test(
    "refuses strings that are not UTF-8",
    arguments: ["ff", "c3", "c328", "c080", "eda080", "f4908080", "e282", "618062", "f8888080 80"])
  func invalidUTF8(_ hex: String) {
    let text = bytes(hex)
    for payload in [
      field(7, field(1, text)), field(6, field(1, field(1, field(1, text)))), field(5, field(2, field(8, text))),
      field(5, field(2, field(7, field(1, text)))), field(5, field(2, field(7, field(2, text)))),
    ] {
      #expect(throws: DecodeError.invalidUTF8) { try Message.decode(payload) }
    }
    // Nobody looks into an unknown field.
    #expect(throws: Never.self) { try Message.decode(field(7, field(9, text))) }
  }

  @Test("keeps strings as they are", arguments: ["", "a", "\0", "\u{e9}", "e\u{301}", "\u{feff}", "\u{10ffff}"])
  func strings(_ text: String) throws {
    let message = try Message.decode(field(7, field(1, Array(text.utf8))))
    guard case .closeTunnelReq(let request) = message else {
      Issue.record("not a CloseTunnelReq")
      return
    }
    #expect(Array(request.tunnelID.utf8) == Array(text.utf8))
  }

  @Test("takes time that grows with the message, not with its square") func linear() throws {
    // Many times the same tunnel with one more label: merged, not copied.
    let count: UInt32 = 40_000
    var payload: [UInt8] = []
    for index in 0..<count {
      let name = [index / 10_000, index / 100 % 100, index % 100].map { UInt8($0) }
      payload += field(5, field(2, field(7, field(1, name))))
    }
    let clock = ContinuousClock()
    let started = clock.now
    guard case .openTunnelReq(let request) = try Message.decode(payload) else {
      Issue.record("not an OpenTunnelReq")
      return
    }
    #expect(request.tunnelProperties?.labels.count == Int(count))
    #expect(clock.now - started < .seconds(5))
  }
}
