// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import RstreamNet

struct DatagramChannelTests {
  @Test(arguments: [
    ("00112233445566778899aabb", true), ("00112233-4455-6677-8899-AABBccddeeff", true),
    (" 00112233445566778899aabb ", true), ("00112233445566778899aa", false), ("0011223344556677zz99aabb", false),
    ("", false), ("00112233445566778899aab\u{e9}", false),
  ])
  func idsAreTheFirstTwelveBytesOfAStreamsID(_ text: String, _ isID: Bool) {
    let id = DatagramChannelID(streamID: text)
    #expect((id != nil) == isID)
    guard let id else { return }
    let bytes = id.withBytes { Array($0) }
    #expect(bytes == [0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xAA, 0xBB])
    #expect(bytes.withUnsafeBytes { DatagramChannelID($0) } == id)
  }

  @Test func carriesPacketsUntilOneSideEndsOrTheConnectionDoes() throws {
    let pair = try QUICPair(TestLoop())
    let (client, server) = try pair.connected(QUICRecorder())
    let id = try #require(DatagramChannelID(streamID: "00112233445566778899aabb"))
    let near = try client.datagramChannels.open(id)
    let far = try server.datagramChannels.open(id)
    #expect(throws: Failure.self) { try client.datagramChannels.open(id) }
    #expect(near.path == .quicDatagram && near.maximumSize > 1000)
    #expect(near.send([UInt8](repeating: 1, count: near.maximumSize + 1)) == .tooLarge)
    // Nobody reads: what is more than fits into the queue is dropped, the newest first.
    for number in 0..<70 {
      let packet = [UInt8(number)] + [UInt8](repeating: 0, count: 12)
      [UInt8]([0, 0x11]).withUnsafeBytes { server.datagramChannels.received($0) }
      let datagram: [UInt8] = [0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xAA, 0xBB] + packet
      datagram.withUnsafeBytes { server.datagramChannels.received($0) }
    }
    #expect(far.counters.droppedReceiving == 6)
    var ends = 0
    near.onClose = {
      #expect($0 == nil)
      ends += 1
    }
    near.close()
    near.close()
    #expect(ends == 1)
    #expect(near.send([1]) == .closed)
    // What has arrived is delivered before the peer's end is told, which is not answered.
    far.onClose = { _ in ends += 1 }
    far.peerClosed()
    far.peerClosed()
    #expect(far.isClosedByPeer && !far.isClosed && far.send([1]) == .closed)
    let recorder = PacketRecorder()
    recorder.onPacket = { channel in
      #expect(!recorder.isEnded)
      if recorder.packets.count == 10 { channel.readStop() }
    }
    far.delegate = recorder
    far.readStart()
    pair.test.run("some packets") { recorder.packets.count == 10 }
    far.readStart()
    pair.test.run("the end") { recorder.isEnded }
    #expect(recorder.packets.map(\.first) == (0..<64).map(UInt8.init))
    #expect(ends == 1 && far.isClosed)
    let last = try client.datagramChannels.open(id)
    client.close()
    pair.test.run("the end") { last.isClosed }
    #expect(last.isClosedByPeer)
    #expect(throws: Failure.self) { try client.datagramChannels.open(id) }
    pair.close()
  }

  @Test func tellsWhatHasEndedIt() throws {
    let pair = try QUICPair(TestLoop())
    let (client, server) = try pair.connected(QUICRecorder())
    let id = try #require(DatagramChannelID(streamID: "00112233445566778899aabb"))
    let near = try client.datagramChannels.open(id)
    let far = try server.datagramChannels.open(id)
    var told: Failure?
    near.onClose = { told = $0 }
    near.reset(because: Failure(-5, "it broke"))
    #expect(told?.code == -5 && near.reason?.message == "it broke")
    let recorder = PacketRecorder()
    far.delegate = recorder
    far.readStart()
    #expect(near.send([1]) == .closed)
    [UInt8]([0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xAA, 0xBB, 7]).withUnsafeBytes {
      server.datagramChannels.received($0)
    }
    far.peerClosed(Failure(-6, "there"))
    #expect(recorder.packets == [[7]] && recorder.failure?.code == -6 && !recorder.isEnded)
    pair.close()
  }

  @Test func tellsThePeerOfItsEndBehindItsPackets() throws {
    let pair = try QUICPair(TestLoop())
    let (client, _) = try pair.connected(QUICRecorder())
    let id = try #require(DatagramChannelID(streamID: "00112233445566778899aabb"))
    let channel = try client.datagramChannels.open(id)
    var left: [Int] = []
    channel.onClose = { _ in left.append(channel.queuedPackets) }
    for _ in 0..<3 { #expect(channel.send([1, 2, 3]) == .taken) }
    channel.close()
    // Its id may be used again at once, by a channel whose packets nobody waits for.
    let next = try client.datagramChannels.open(id)
    #expect(left.isEmpty && channel.queuedPackets == 3 && next.send([4]) == .taken)
    pair.test.run("the report") { !left.isEmpty }
    #expect(left == [0])
    next.close()
    pair.test.run("all packets") { pair.atServer.datagrams.count == 4 }
    #expect(pair.atServer.datagrams.map { $0[12] } == [1, 4, 1, 1])
    pair.close()
  }

  /// The path may come to carry less while packets wait that filled it.
  @Test func packetsThatHaveBecomeTooLongMakeRoom() throws {
    let pair = try QUICPair(TestLoop())
    let (client, _) = try pair.connected(QUICRecorder())
    let id = try #require(DatagramChannelID(streamID: "00112233445566778899aabb"))
    let channel = try client.datagramChannels.open(id)
    let recorder = PacketRecorder()
    channel.delegate = recorder
    let tooLong = [UInt8](repeating: 7, count: 1_600)
    #expect(client.maximumDatagram < tooLong.count)
    for _ in 0..<PacketChannel.queueLimit { tooLong.withUnsafeBytes { channel.enqueue($0) } }
    #expect(channel.isFull && channel.send([1]) == .full)
    pair.test.run("room") { recorder.drains > 0 }
    #expect(!channel.isFull && channel.queuedPackets == 0 && channel.send([1]) == .taken)
    #expect(channel.counters.droppedSending == UInt64(PacketChannel.queueLimit) + 1)
    channel.close()
    // The same without channels.
    var rooms = 0
    client.onDatagramRoom = { rooms += 1 }
    for _ in 0..<client.settings.datagramQueue { tooLong.withUnsafeBytes { client.datagrams.append($0) } }
    #expect(client.isCrowded)
    client.schedule()
    pair.test.run("room") { rooms > 0 }
    #expect(client.droppedDatagrams == UInt64(client.settings.datagramQueue))
    pair.close()
  }

  @Test func channelsOfAConnectionTakeTurns() throws {
    let pair = try QUICPair(TestLoop())
    let (client, _) = try pair.connected(QUICRecorder())
    let ids = ["00112233445566778899aabb", "10112233445566778899aabb", "20112233445566778899aabb"]
    let channels = try ids.map { try client.datagramChannels.open(#require(DatagramChannelID(streamID: $0))) }
    let recorder = PacketRecorder()
    channels[0].delegate = recorder
    // One that sends all it can leaves the others their part.
    for number in 0..<PacketChannel.queueLimit { #expect(channels[0].send([UInt8(number)]) == .taken) }
    #expect(channels[0].send([1]) == .full)
    for number in 0..<3 {
      #expect(channels[1].send([UInt8(number)]) == .taken)
      #expect(channels[2].send([UInt8(number)]) == .taken)
    }
    #expect(channels.map(\.queuedPackets) == [PacketChannel.queueLimit, 3, 3])
    pair.test.run("all packets") { pair.atServer.datagrams.count == PacketChannel.queueLimit + 6 }
    let turns = pair.atServer.datagrams.map { $0[0] >> 4 }
    #expect(turns.prefix(10) == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
    for (channel, first) in [UInt8(0), 0x10, 0x20].enumerated() {
      let numbers = pair.atServer.datagrams.filter { $0[0] == first }.map { $0[12] }
      #expect(numbers == (0..<UInt8(channel == 0 ? PacketChannel.queueLimit : 3)).map { $0 })
    }
    #expect(recorder.drains == 1 && !channels[0].isFull)
    for channel in channels { channel.close() }
    pair.close()
  }

  /// All channels together are bounded as well, and none is shut out.
  @Test func manyChannelsHaveAPacketEach() throws {
    let pair = try QUICPair(TestLoop())
    let (client, _) = try pair.connected(QUICRecorder())
    let full = DatagramChannels.waitingLimit / PacketChannel.queueLimit
    var channels: [QUICPacketChannel] = []
    let recorder = PacketRecorder()
    for number in 0..<(full + 10) {
      let id = try #require(
        DatagramChannelID(streamID: "0011223344556677889900" + (number < 16 ? "0" : "") + String(number, radix: 16)))
      let channel = try client.datagramChannels.open(id)
      channel.delegate = recorder
      channels.append(channel)
      var taken = 0
      while channel.send([UInt8(number)]) == .taken { taken += 1 }
      #expect(taken == (number < full ? PacketChannel.queueLimit : 1))
    }
    pair.test.run("room for all") { recorder.drains == channels.count }
    for channel in channels { #expect(channel.send([1]) == .taken) }
    // What waits when the connection ends is nobody's any more.
    client.close()
    pair.test.run("the ends") { channels.allSatisfy(\.isClosed) }
    #expect(channels.allSatisfy { $0.queuedPackets == 0 && $0.next == nil })
    pair.close()
  }

  /// A channel's first packets may overtake the answer that names it.
  @Test func packetsOfAChannelThatIsAskedForWait() throws {
    let pair = try QUICPair(TestLoop())
    let (client, _) = try pair.connected(QUICRecorder())
    let channels = client.datagramChannels
    let id = try #require(DatagramChannelID(streamID: "00112233445566778899aabb"))
    func arrive(_ number: UInt8) {
      (id.withBytes { Array($0) } + [number]).withUnsafeBytes { channels.received($0) }
    }
    arrive(1)
    channels.expect()
    arrive(2)
    arrive(3)
    let recorder = PacketRecorder()
    let channel = try channels.open(id)
    channels.expectNoMore()
    channel.delegate = recorder
    channel.readStart()
    pair.test.run("packets") { recorder.packets.count == 2 }
    #expect(recorder.packets == [[2], [3]])
    channel.close()
    // A channel that nobody asks for has none.
    arrive(4)
    let again = try channels.open(id)
    again.delegate = recorder
    again.readStart()
    arrive(5)
    #expect(recorder.packets == [[2], [3], [5]])
    again.close()
    pair.close()
  }

  /// What opens a channel and the channel's first packet may come in one read.
  @Test func aDatagramIsToldAfterWhatCameBeforeItOnAStream() throws {
    final class Order: QUICConnectionDelegate, ByteChannelDelegate {
      var told: [String] = []
      func connectionOpened(_ connection: QUICConnection) {}
      func connection(_ connection: QUICConnection, opened stream: QUICStream) {
        stream.delegate = self
        stream.readStart()
      }
      func connection(_ connection: QUICConnection, received datagram: UnsafeRawBufferPointer) {
        told.append("datagram")
      }
      func connection(_ connection: QUICConnection, ended failure: Failure) {}
      func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) { told.append("stream") }
      func channelReceivedEnd(_ channel: ByteChannel) {}
      func channelDrained(_ channel: ByteChannel) {}
      func channel(_ channel: ByteChannel, failed failure: Failure) {}
    }
    let pair = try QUICPair(TestLoop())
    let (client, server) = try pair.connected(QUICRecorder())
    let order = Order()
    server.delegate = order
    var opened: QUICStream?
    client.openStream { opened = try? $0.get() }
    pair.test.run("a stream") { opened != nil }
    let stream = try #require(opened)
    stream.write([1])
    pair.test.run("the stream") { order.told == ["stream"] }
    for round in 2...20 {
      order.told = []
      // Two packets that wait in the server's socket together.
      stream.write([UInt8](repeating: 2, count: 10))
      client.flush()
      [UInt8](repeating: 3, count: round).withUnsafeBytes { _ = client.send(datagram: $0) }
      client.flush()
      pair.test.run("both") { order.told.count == 2 }
      #expect(order.told == ["stream", "datagram"])
    }
    stream.close()
    pair.close()
  }
}
