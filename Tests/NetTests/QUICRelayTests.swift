// SPDX-License-Identifier: Apache-2.0
import CUV
import Glibc
import TestSupport
import Testing

@testable import RstreamNet

/// Collects what a stream tells, each direction for itself.
private final class Ends: ByteChannelDelegate, QUICStreamDirections {
  var received: [UInt8] = []
  var isEnded = false
  var resetCode: UInt64?
  var stopCode: UInt64?
  var failure: Failure?

  @discardableResult
  init(_ stream: QUICStream, reading: Bool = true) {
    stream.delegate = self
    stream.directions = self
    if reading { stream.readStart() }
  }

  func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) { received += bytes }
  func channelReceivedEnd(_ channel: ByteChannel) { isEnded = true }
  func channelDrained(_ channel: ByteChannel) {}
  func channel(_ channel: ByteChannel, failed failure: Failure) { self.failure = failure }
  func stream(_ stream: QUICStream, wasResetWith code: UInt64) { resetCode = code }
  func stream(_ stream: QUICStream, wasStoppedWith code: UInt64) { stopCode = code }
}

/// A client, the relay that it is connected to, and a service that the relay reaches through packets in a TCP connection.
private final class Relayed {
  let test: TestLoop
  let front: QUICPair
  let back: QUICPair
  let atClient = QUICRecorder()
  let client: QUICConnection
  let relay: QUICRelay
  private(set) var service: QUICConnection! = nil
  private let upstream: QUICSettings
  private var packets: PacketSplice?
  private(set) var hasEnded = false

  static var settings: QUICSettings {
    var settings = QUICSettings()
    settings.unidirectionalStreams = 200
    settings.keptStreams = 200
    settings.streams = 200
    settings.allowsServerStreams = true
    settings.tellsStops = true
    return settings
  }

  init(
    service settings: QUICSettings = Relayed.settings, towards upstream: QUICSettings = Relayed.settings,
    streamTimeout: UInt64 = 60_000, joined: Bool = true
  ) throws {
    self.upstream = upstream
    test = try TestLoop()
    front = try QUICPair(test, Relayed.settings)
    back = try QUICPair(test, settings)
    let served: QUICConnection
    (client, served) = try front.connected(atClient, Relayed.settings)
    var ended: () -> Void = {}
    relay = QUICRelay(served, streamTimeout: streamTimeout, admit: { Place() }, onEnd: { _ in ended() })
    ended = { [weak self] in self?.hasEnded = true }
    if joined { try join() }
  }

  private final class Place {}

  func join() throws {
    let (near, far) = try test.socketPair()
    packets = PacketSplice(
      FramedPacketChannel(far), try UDPSocketChannel(test.loop, to: back.listener.address)
    ) { _, _ in }
    let path = PacketPath(through: FramedPacketChannel(near)) { [weak relay] failure in
      relay?.close(.internalError("the way is gone"), failure)
    }
    relay.join(
      try QUICConnection(
        client: QUICPair.credentials(trusting: false) { $0.skipsVerification = true }, over: path, local: path.local,
        remote: path.remote, serverName: "tunnel.example", alpn: [QUICPair.alpn], test.loop, upstream))
    test.run("the service's connection") { back.atServer.isOpen }
    service = back.served.last
  }

  /// Ends the packets' way as an owner does that goes.
  func cutPackets() { packets?.cut() }

  /// The stream at the service that the client has opened last.
  func accepted(_ count: Int) throws -> QUICStream {
    test.run("a stream at the service") { back.atServer.streams.count >= count }
    return try #require(back.atServer.streams.last)
  }

  func close() {
    client.close()
    test.run("the relay's end") { hasEnded }
    test.run("the end at the service") { back.served.allSatisfy(\.isEnded) }
    finish()
  }

  func finish() {
    packets?.cut()
    front.listener.close()
    back.listener.close()
    test.close()
  }
}

struct QUICRelayTests {
  private func bytes(_ count: Int, _ factor: Int = 31) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* factor) }
  }

  /// Bytes both ways on a stream that one peer opens, and their ends, each for itself.
  private func exchange(_ relayed: Relayed, from opener: QUICConnection, at accepter: QUICRecorder) throws {
    let before = accepter.streams.count
    let near = try #require(try opener.openStream())
    let atNear = Ends(near)
    near.write(bytes(1_000_003))
    near.shutdown()
    relayed.test.run("the stream") { accepter.streams.count > before }
    let far = try #require(accepter.streams.last)
    let atFar = Ends(far)
    relayed.test.run("everything there") { atFar.isEnded }
    #expect(atFar.received == bytes(1_000_003))
    #expect(!atNear.isEnded)
    far.write(bytes(700_001, 7))
    far.shutdown()
    relayed.test.run("everything back") { atNear.isEnded }
    #expect(atNear.received == bytes(700_001, 7))
    #expect(atNear.failure == nil && atFar.failure == nil)
  }

  @Test func streamsOfBothPeers() throws {
    let relayed = try Relayed()
    #expect(relayed.service.clientHello?.serverName == "tunnel.example")
    try exchange(relayed, from: relayed.client, at: relayed.back.atServer)
    try exchange(relayed, from: relayed.service, at: relayed.atClient)
    #expect(relayed.relay.streams == 2)
    relayed.test.run("no streams left") { !relayed.client.hasStreams && !relayed.service.hasStreams }
    relayed.close()
  }

  @Test func streamsOfOneDirection() throws {
    let relayed = try Relayed()
    for (opener, accepter) in [
      (relayed.client, relayed.back.atServer), (relayed.service!, relayed.atClient),
    ] {
      let near = try #require(try opener.openUnidirectionalStream())
      near.write(bytes(300_000))
      near.shutdown()
      relayed.test.run("the stream") { !accepter.streams.isEmpty }
      let far = try #require(accepter.streams.first)
      #expect(far.isUnidirectional)
      let ends = Ends(far)
      relayed.test.run("everything") { ends.isEnded }
      #expect(ends.received == bytes(300_000))
    }
    relayed.test.run("no streams left") { !relayed.client.hasStreams && !relayed.service.hasStreams }
    relayed.close()
  }

  @Test func aStreamWithoutBytesIsOpenedToo() throws {
    let relayed = try Relayed()
    let near = try #require(try relayed.client.openStream())
    let atNear = Ends(near)
    near.announce()
    let far = try relayed.accepted(1)
    far.write(Array("the service speaks first".utf8))
    relayed.test.run("the greeting") { atNear.received == Array("the service speaks first".utf8) }
    relayed.close()
  }

  @Test func codesOfResetAndStop() throws {
    let relayed = try Relayed()
    for (opener, accepter) in [
      (relayed.client, relayed.back.atServer), (relayed.service!, relayed.atClient),
    ] {
      let count = accepter.streams.count
      let near = try #require(try opener.openStream())
      let atNear = Ends(near)
      near.write(Array("x".utf8))
      relayed.test.run("the stream") { accepter.streams.count > count }
      let far = try #require(accepter.streams.last)
      let atFar = Ends(far)
      near.resetWriting(code: 1_001)
      relayed.test.run("the reset") { atFar.resetCode != nil }
      #expect(atFar.resetCode == 1_001)
      // The other direction goes on, until its reader has enough of it.
      far.write(Array("still here".utf8))
      relayed.test.run("bytes back") { atNear.received == Array("still here".utf8) }
      near.stopReading(code: 1_002)
      relayed.test.run("the stop") { atFar.stopCode != nil }
      #expect(atFar.stopCode == 1_002)
      relayed.test.run("the stream's end") { near.slot == nil && far.slot == nil }

      let second = try #require(try opener.openStream())
      let atSecond = Ends(second)
      second.write(Array("y".utf8))
      relayed.test.run("another stream") { accepter.streams.count > count + 1 }
      let other = try #require(accepter.streams.last)
      let atOther = Ends(other)
      other.stopReading(code: 1 << 40)
      relayed.test.run("the stop") { atSecond.stopCode != nil }
      #expect(atSecond.stopCode == 1 << 40)
      other.resetWriting(code: 1_004)
      relayed.test.run("the reset") { atSecond.resetCode != nil }
      #expect(atSecond.resetCode == 1_004)
      #expect(atOther.failure == nil && atSecond.failure == nil)
      relayed.test.run("the stream's end") { second.slot == nil && other.slot == nil }
    }
    relayed.close()
  }

  @Test func whatComesBeforeTheServiceIsThereIsKept() throws {
    let relayed = try Relayed(joined: false)
    let near = try #require(try relayed.client.openStream())
    let atNear = Ends(near)
    near.write(bytes(1000))
    relayed.test.run("the stream at the relay") { relayed.front.served[0].hasStreams }
    near.resetWriting(code: 5)
    near.stopReading(code: 6)
    let written = try #require(try relayed.client.openUnidirectionalStream())
    written.write(bytes(100_000))
    written.shutdown()
    for number in 0..<100 { bytes(number).withUnsafeBytes { _ = relayed.client.send(datagram: $0) } }
    relayed.test.run("datagrams at the relay") { relayed.relay.droppedDatagrams + 64 >= 100 }
    var ends: [(QUICStream, Ends)] = []
    relayed.back.atServer.onStream = { ends.append(($0, Ends($0))) }
    try relayed.join()
    relayed.test.run("everything") { ends.contains { $1.isEnded } && ends.contains { $1.resetCode != nil } }
    for (stream, end) in ends {
      if stream.isUnidirectional {
        #expect(end.received == bytes(100_000))
      } else {
        #expect(end.resetCode == 5)
        relayed.test.run("the stop") { end.stopCode == 6 }
      }
    }
    relayed.test.run("the first datagrams") { relayed.back.atServer.datagrams.count == 64 }
    #expect(relayed.back.atServer.datagrams.first == [])
    #expect(relayed.relay.droppedDatagrams == 36)
    withExtendedLifetime(atNear) {}
    relayed.close()
  }

  @Test func datagramsBothWays() throws {
    let relayed = try Relayed()
    for size in [0, 1, 500, 1100] {
      bytes(size).withUnsafeBytes { _ = relayed.client.send(datagram: $0) }
      relayed.test.run("a datagram") { relayed.back.atServer.datagrams.last == bytes(size) }
      bytes(size, 3).withUnsafeBytes { _ = relayed.service.send(datagram: $0) }
      relayed.test.run("a datagram back") { relayed.atClient.datagrams.last == bytes(size, 3) }
    }
    #expect(relayed.relay.datagrams == 8 && relayed.relay.droppedDatagrams == 0)
    relayed.close()
  }

  @Test func aDatagramThatDoesNotFitIsDroppedAndCounted() throws {
    var small = Relayed.settings
    small.largestPacket = 1200
    small.discoversPacketSize = false
    let relayed = try Relayed(towards: small)
    relayed.test.run("larger packets of the client") { relayed.client.maximumDatagram >= 1300 }
    bytes(1300).withUnsafeBytes { _ = relayed.client.send(datagram: $0) }
    bytes(1100).withUnsafeBytes { _ = relayed.client.send(datagram: $0) }
    relayed.test.run("the one that fits") { !relayed.back.atServer.datagrams.isEmpty }
    #expect(relayed.back.atServer.datagrams == [bytes(1100)])
    #expect(relayed.relay.datagrams == 1 && relayed.relay.droppedDatagrams == 1)
    relayed.close()
    #expect(relayed.relay.droppedDatagrams == 1)
  }

  @Test func closeCodesBothWays() throws {
    for fromClient in [true, false] {
      let relayed = try Relayed()
      let stream = try #require(try relayed.client.openStream())
      stream.write(bytes(50_000))
      let atService = Ends(try relayed.accepted(1))
      relayed.test.run("bytes") { atService.received.count == 50_000 }
      stream.write(bytes(20_000))
      let word = QUICClose(.application, code: 0x1234_5678, reason: "that is all, folks \u{1F407}")
      let (from, to) = fromClient ? (relayed.client, relayed.service!) : (relayed.service!, relayed.client)
      relayed.test.run("bytes that were written before") { !fromClient || stream.queuedBytes == 0 }
      from.close(word)
      relayed.test.run("the end") { to.isEnded && relayed.hasEnded }
      #expect(to.closeOfPeer == word)
      if fromClient { #expect(atService.received.count == 70_000) }
      relayed.finish()
    }
  }

  @Test func anEndWithoutWordIsNoneOfTheOtherPeer() throws {
    let relayed = try Relayed()
    relayed.cutPackets()
    relayed.test.run("the end") { relayed.atClient.failure != nil && relayed.hasEnded }
    #expect(relayed.client.closeOfPeer == .internalError("the way is gone"))
    relayed.back.served.last?.close()
    relayed.finish()
  }

  @Test func streamsWaitForTheOtherPeersCredit() throws {
    var few = Relayed.settings
    few.streams = 2
    few.unidirectionalStreams = 1
    let relayed = try Relayed(service: few)
    let streams = try (0..<5).map { number in
      let stream = try #require(try relayed.client.openStream())
      stream.write([UInt8(number)])
      stream.shutdown()
      return (stream, Ends(stream))
    }
    let onlyOne = try (0..<2).map { number in
      let stream = try #require(try relayed.client.openUnidirectionalStream())
      stream.write([UInt8(10 + number)])
      stream.shutdown()
      return stream
    }
    var seen: [UInt8] = []
    relayed.test.run("the first streams") { relayed.back.atServer.streams.count == 3 }
    var next = 0
    while seen.count < 7 {
      relayed.test.run("a stream") { relayed.back.atServer.streams.count > next }
      let stream = try #require(relayed.back.atServer.streams.dropFirst(next).first)
      next += 1
      let ends = Ends(stream)
      relayed.test.run("its byte") { ends.isEnded }
      seen += ends.received
      if !stream.isUnidirectional { stream.shutdown() }
      #expect(relayed.back.atServer.streams.count <= next + 3)
    }
    #expect(seen.sorted() == [0, 1, 2, 3, 4, 10, 11])
    relayed.test.run("the ends") { streams.allSatisfy { $1.isEnded } }
    withExtendedLifetime(onlyOne) {}
    relayed.close()
  }

  @Test func aStreamDoesNotWaitForEver() throws {
    var none = Relayed.settings
    none.streams = 0
    let relayed = try Relayed(service: none, streamTimeout: 300)
    let stream = try #require(try relayed.client.openStream())
    let ends = Ends(stream)
    stream.write([1])
    relayed.test.run("the refusal") { ends.resetCode != nil && ends.stopCode != nil }
    #expect(relayed.relay.refusedStreams == 1)
    #expect(!relayed.client.isEnded)
    relayed.close()
  }

  @Test func whoDoesNotReadStopsTheSenderAndNobodyElse() throws {
    let relayed = try Relayed()
    let stalled = try #require(try relayed.client.openStream())
    stalled.write([UInt8](repeating: 1, count: 4 << 20))
    let unread = try relayed.accepted(1)
    let other = try #require(try relayed.client.openStream())
    other.write(bytes(1_000_000))
    other.shutdown()
    let ends = Ends(try relayed.accepted(2))
    relayed.test.run("the other stream") { ends.isEnded }
    #expect(ends.received.count == 1_000_000)
    #expect(stalled.queuedBytes > 2 << 20)
    let late = Ends(unread)
    stalled.shutdown()
    relayed.test.run("everything") { late.isEnded }
    #expect(late.received.count == 4 << 20)
    relayed.close()
  }

  @Test func stoppedStreamsGiveTheirCreditBack() throws {
    let relayed = try Relayed()
    for round in 1...60 {
      let stream = try #require(try relayed.client.openStream())
      let ends = Ends(stream)
      stream.write([UInt8](repeating: 1, count: 400_000))
      let far = try relayed.accepted(round)
      Ends(far).isEnded = false
      far.stopReading(code: 9)
      relayed.test.run("the stop") { ends.stopCode == 9 }
      far.shutdown()
      relayed.test.run("the stream's end") { stream.slot == nil }
    }
    try exchange(relayed, from: relayed.client, at: relayed.back.atServer)
    relayed.close()
  }
}

struct QUICFramesTests {
  private func stops(_ payload: [UInt8]) -> [StopSending] {
    payload.withUnsafeBytes { bytes in
      var frames = QUICFrames(bytes)
      var found: [StopSending] = []
      while let stop = frames.nextStop() { found.append(stop) }
      return found
    }
  }

  private let stop: [UInt8] = [0x05, 0x04, 0x40, 0x7B]

  @Test(arguments: [
    [], [0, 0, 0], [0x01], [0x02, 5, 0, 1, 0, 0, 0], [0x03, 5, 0, 0, 0, 1, 1, 1], [0x04, 0, 1, 2], [0x06, 0, 2, 5, 5],
    [0x07, 1, 5], [0x0A, 0, 1, 5], [0x0F, 0, 1, 1, 5], [0x10, 1], [0x11, 0, 1], [0x12, 1], [0x13, 1], [0x14, 1],
    [0x15, 0, 1], [0x16, 1], [0x17, 1], [0x18, 1, 0, 4] + [UInt8](repeating: 5, count: 20), [0x19, 1],
    [0x1A] + [UInt8](repeating: 5, count: 8), [0x1B] + [UInt8](repeating: 5, count: 8), [0x1C, 1, 5, 1, 5],
    [0x1D, 1, 1, 5], [0x1E], [0x31, 1, 5],
  ])
  func stopsAreFoundBehindEveryFrame(frame: [UInt8]) {
    #expect(stops(frame + stop + frame + stop) == Array(repeating: StopSending(stream: 4, code: 123), count: 2))
    // Cut anywhere it does no harm.
    for end in 0..<frame.count { _ = stops(Array(frame.prefix(end))) }
  }

  @Test(arguments: [
    [0x08, 0], [0x0C, 0, 1], [0x30], [0x20], [0xFF], [0x02, 5, 0, 0xC0, 0, 0, 0, 1, 0, 0, 0], [0x07, 0x3F], [0x05, 4],
    [0x02, 5, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0],
  ])
  func nothingIsFoundBehindTheLastFrameOrNonsense(frame: [UInt8]) {
    #expect(stops(frame + stop).allSatisfy { $0 != StopSending(stream: 4, code: 123) })
  }

  @Test func randomPayloads() {
    var state: UInt64 = 88_172_645_463_325_252
    for _ in 0..<20_000 {
      var payload: [UInt8] = []
      for _ in 0..<Int(state % 60) {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        payload.append(UInt8(truncatingIfNeeded: state) & (state & 256 == 0 ? 0x1F : 0xFF))
      }
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      _ = stops(payload)
    }
  }
}
