// SPDX-License-Identifier: Apache-2.0
import RstreamWire
import Testing

private let heartbeat = bytes("000000047a020801")
private let largest = [0, 0, 0xff, 0xff] + [UInt8](repeating: 7, count: Frame.maximumPayload)

@Suite("Frames") struct FrameTests {
  @Test("carry up to 65,535 bytes") func limit() throws {
    let packet = [UInt8](repeating: 7, count: Frame.maximumPayload)
    #expect(try Frame.encode(packet: packet) == largest)
    #expect(throws: FrameError.tooLarge(65_536)) { try Frame.encode(packet: packet + [7]) }
    #expect(try Frame.encode(packet: []) == [0, 0, 0, 0])
    #expect(try Frame.encode(packet: bytes("6869")) == bytes("000000026869"))
  }

  @Test("refuse a message that does not fit") func largeMessage() throws {
    // Field 16, length 65,532 as a varint of three bytes, field 1, length again: eleven bytes around the text.
    let fits = Message.serverMessage(ServerMessage(String(repeating: "x", count: Frame.maximumPayload - 9)))
    #expect(try fits.framed().count == Frame.maximumSize)
    #expect(try fits.framed().prefix(4) == [0, 0, 0xff, 0xff])
    #expect(try Message.decode(fits.encoded()) == fits)
    let tooLarge = Message.serverMessage(ServerMessage(String(repeating: "x", count: Frame.maximumPayload - 8)))
    #expect(throws: FrameError.tooLarge(65_536)) { try tooLarge.framed() }
  }

  @Test("have a header to be stored as it is", arguments: [0, 1, 255, 256, 65_535]) func header(_ count: Int) throws {
    let header = try Frame.header(payload: count)
    let stored = withUnsafeBytes(of: header) { Array($0) }
    #expect(stored == [0, 0, UInt8(count >> 8), UInt8(count & 255)])
  }

  @Test("have no header for lengths they cannot have", arguments: [-1, 65_536, Int.max, Int.min])
  func noHeader(_ count: Int) {
    #expect(throws: FrameError.tooLarge(count)) { try Frame.header(payload: count) }
  }
}

@Suite("A reader of frames") struct FrameReaderTests {
  @Test("gives nothing until a frame is whole") func byteByByte() throws {
    for vector in vectors {
      var reader = FrameReader()
      for (index, byte) in vector.frame.enumerated() {
        #expect(try reader.next() == nil)
        #expect(reader.isEmpty == (index == 0))
        try reader.append([byte])
      }
      #expect(try reader.nextMessage() == vector.message)
      #expect(reader.isEmpty)
    }
  }

  @Test("gives frames that arrive together one by one") func together() throws {
    var reader = FrameReader()
    try reader.append(vectors.flatMap(\.frame))
    for vector in vectors { #expect(try reader.nextMessage() == vector.message) }
    #expect(try reader.nextMessage() == nil)
    #expect(reader.isEmpty)
  }

  @Test("gives frames cut anywhere") func cut() throws {
    let stream = vectors.flatMap(\.frame)
    for size in [2, 3, 5, 7, 64, 100] {
      var reader = FrameReader()
      var messages: [Message] = []
      for start in stride(from: 0, to: stream.count, by: size) {
        try reader.append(Array(stream[start..<min(start + size, stream.count)]))
        while let message = try reader.nextMessage() { messages.append(message) }
      }
      #expect(messages == vectors.map(\.message))
    }
  }

  @Test("leaves what is behind a handshake, once") func remainder() throws {
    let payload = bytes("474554202f20485454502f312e310d0a")
    var reader = FrameReader()
    try reader.append(heartbeat + payload)
    #expect(try reader.next() != nil)
    #expect(reader.takeRemainder() == payload)
    #expect(reader.takeRemainder().isEmpty)
    #expect(reader.isEmpty)
    // What looks like a frame is none: it belongs to the tunnel.
    try reader.append(heartbeat + heartbeat)
    #expect(try reader.next() != nil)
    #expect(reader.takeRemainder() == heartbeat)
    #expect(try reader.next() == nil)
  }

  @Test("gives a frame that was only begun back as it came") func remainderOfPart() throws {
    var reader = FrameReader()
    try reader.append(Array(heartbeat.dropLast()))
    #expect(try reader.next() == nil)
    #expect(reader.takeRemainder() == Array(heartbeat.dropLast()))
  }

  @Test("refuses a length beyond 65,535, again and again") func oversize() throws {
    for header in ["00010000", "00ffffff", "7fffffff", "80000000", "ffffffff", "474554202f"] {
      var reader = FrameReader()
      try reader.append(bytes(header))
      #expect(throws: FrameError.self) { try reader.next() }
      #expect(throws: FrameError.self) { try reader.next() }
    }
    var reader = FrameReader()
    try reader.append(heartbeat + bytes("00010000"))
    #expect(try reader.next() != nil)
    #expect(throws: FrameError.tooLarge(65_536)) { try reader.next() }
  }

  @Test("gives empty frames") func empty() throws {
    var reader = FrameReader()
    try reader.append(bytes("00000000 00000000"))
    #expect(try reader.next() == [])
    #expect(try reader.nextMessage() == Message.unknown)
    #expect(try reader.next() == nil)
  }

  @Test("holds one frame and one piece, no more") func bounded() throws {
    var reader = FrameReader()
    try reader.append(Array(largest.dropLast()))
    try reader.append(largest)
    #expect(throws: FrameError.unread) { try reader.append([0]) }
    #expect(try reader.next()?.count == Frame.maximumPayload)
    #expect(reader.takeRemainder() == Array(largest.dropFirst()))
    try reader.append([0])
    #expect(try reader.next() == nil)
  }

  @Test("shows a message that cannot be read as an error of its own") func undecodable() throws {
    var reader = FrameReader()
    try reader.append(bytes("0000000108") + heartbeat)
    #expect(throws: DecodeError.truncated) { try reader.nextMessage() }
    #expect(try reader.nextMessage() == .heartbeat(Heartbeat(sequence: 1)))
  }
}

@Suite("A reader of packets") struct PacketReaderTests {
  /// Packets of all sizes that matter, and the stream they make.
  private let packets: [[UInt8]] = [
    [], [1], [], bytes("6869"), [UInt8](repeating: 2, count: 1200), [UInt8](repeating: 3, count: Frame.maximumPayload),
    [UInt8](repeating: 4, count: 255), [UInt8](repeating: 5, count: 256), [],
  ]
  private var stream: [UInt8] {
    get throws { try packets.flatMap { try Frame.encode(packet: $0) } }
  }

  private func copy(_ packet: Span<UInt8>) -> [UInt8] { packet.withUnsafeBufferPointer(Array.init) }

  @Test("gives packets cut anywhere", arguments: [1, 2, 3, 4, 5, 7, 999, 1204, 16_384, 65_539, 1_000_000])
  func cut(_ size: Int) throws {
    let stream = try stream
    var reader = FrameReader()
    var received: [[UInt8]] = []
    for start in stride(from: 0, to: stream.count, by: size) {
      let chunk = Array(stream[start..<min(start + size, stream.count)])
      let all = try reader.packets(in: chunk.span) { packet in
        received.append(copy(packet))
        return true
      }
      #expect(all)
    }
    #expect(received == packets)
    #expect(reader.isEmpty)
  }

  @Test("goes on where it was stopped", arguments: [1, 3, 5, 1204, 65_539, 1_000_000]) func stopped(_ size: Int) throws
  {
    let stream = try stream
    var reader = FrameReader()
    var received: [[UInt8]] = []
    for start in stride(from: 0, to: stream.count, by: size) {
      var chunk = Array(stream[start..<min(start + size, stream.count)])
      // Stopped after every packet.
      while try !reader.packets(
        in: chunk.span,
        { packet in
          received.append(copy(packet))
          return false
        })
      { chunk = [] }
    }
    #expect(received == packets)
    #expect(reader.isEmpty)
  }

  @Test("keeps the packet that its taker refused out of the next call") func thrown() throws {
    struct Refused: Error {}
    var reader = FrameReader()
    #expect(throws: Refused.self) {
      _ = try reader.packets(in: bytes("000000026869").span) { _ in throw Refused() }
    }
    #expect(reader.isEmpty)
  }

  @Test("refuses a length beyond 65,535") func oversize() throws {
    for cut in 0...4 {
      var reader = FrameReader()
      var received = 0
      let stream = bytes("000000026869 00010000")
      #expect(throws: FrameError.tooLarge(65_536)) {
        for part in [stream.prefix(6 + cut), stream.dropFirst(6 + cut)] {
          _ = try reader.packets(in: Array(part).span) { _ in
            received += 1
            return true
          }
        }
      }
      #expect(received == 1)
    }
  }
}
