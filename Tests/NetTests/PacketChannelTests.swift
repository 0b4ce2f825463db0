// SPDX-License-Identifier: Apache-2.0
import Glibc
import TestSupport
import Testing

@testable import RstreamNet

/// Collects what a packet channel tells.
final class PacketRecorder: PacketChannelDelegate {
  var packets: [[UInt8]] = []
  var pauses = 0
  var drains = 0
  var isEnded = false
  var failure: Failure?
  var onPacket: (PacketChannel) -> Void = { _ in }

  func packetChannel(_ channel: PacketChannel, received packet: UnsafeRawBufferPointer) {
    packets.append(Array(packet))
    onPacket(channel)
  }

  func packetChannelPaused(_ channel: PacketChannel) { pauses += 1 }
  func packetChannelDrained(_ channel: PacketChannel) { drains += 1 }
  func packetChannelEnded(_ channel: PacketChannel) { isEnded = true }
  func packetChannel(_ channel: PacketChannel, failed failure: Failure) { self.failure = failure }
}

extension PacketChannel {
  @discardableResult
  func send(_ packet: [UInt8]) -> PacketOutcome { packet.withUnsafeBytes { send($0) } }
}

struct PacketChannelTests {
  /// Raw bytes - packets
  private func pair(_ test: TestLoop) throws -> (SocketChannel, FramedPacketChannel, PacketRecorder) {
    let (raw, lower) = try test.socketPair()
    let channel = FramedPacketChannel(lower)
    let recorder = PacketRecorder()
    channel.delegate = recorder
    return (raw, channel, recorder)
  }

  private func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) } }

  @Test(arguments: [1, 3, 7, 4096])
  func framesArriveInPiecesOfAnySize(piece: Int) throws {
    let test = try TestLoop()
    let (raw, channel, recorder) = try pair(test)
    let wanted = [[], bytes(1), bytes(1200), [], bytes(5)]
    var stream: [UInt8] = []
    for packet in wanted {
      stream += [0, 0, UInt8(packet.count >> 8), UInt8(packet.count & 255)] + packet
    }
    channel.readStart()
    var offset = 0
    let timer = LoopTimer(test.loop) {
      raw.write(Array(stream[min(offset, stream.count)..<min(offset + piece, stream.count)]))
      offset += piece
    }
    timer.start(after: 0, every: 1)
    test.run { recorder.packets.count == wanted.count }
    timer.close()
    #expect(recorder.packets == wanted)
    #expect(channel.counters.received == 5)
    channel.close()
    raw.close()
    test.close()
  }

  @Test func theLargestPacketAndOneMore() throws {
    let test = try TestLoop()
    let (left, right) = try test.socketPair()
    let (a, b) = (FramedPacketChannel(left), FramedPacketChannel(right))
    let (atA, atB) = (PacketRecorder(), PacketRecorder())
    a.delegate = atA
    b.delegate = atB
    b.readStart()
    #expect(a.send(bytes(65_535)) == .taken)
    #expect(a.send(bytes(65_536)) == .tooLarge)
    #expect(a.send([]) == .taken)
    test.run { atB.packets.count == 2 }
    #expect(atB.packets == [bytes(65_535), []])
    #expect(a.counters == PacketCounters(sent: 2, droppedSending: 1))
    a.close()
    #expect(a.send([]) == .closed)
    test.run { atB.isEnded }
    #expect(b.isClosed)
    test.close()
  }

  @Test(arguments: [[0, 1, 0, 0], [255, 255, 255, 255], [0x16, 3, 1, 2]])
  func whatIsNoFrameEndsTheChannel(header: [UInt8]) throws {
    let test = try TestLoop()
    let (raw, channel, recorder) = try pair(test)
    let peer = Recorder(reading: raw)
    channel.readStart()
    raw.write([0, 0, 0, 1, 7] + header)
    test.run { recorder.failure != nil && (peer.failure != nil || peer.ended) }
    #expect(recorder.packets == [[7]])
    #expect(recorder.failure?.code == ErrorCode.frameTooLarge)
    raw.close()
    test.close()
  }

  @Test func anEndWithinAPacketIsAFailure() throws {
    let test = try TestLoop()
    let (raw, channel, recorder) = try pair(test)
    channel.readStart()
    raw.write([0, 0, 0, 5, 1, 2])
    raw.shutdown()
    test.run { recorder.failure != nil }
    #expect(recorder.failure?.code == ErrorCode.protocolViolation)
    raw.close()
    test.close()
  }

  @Test func whoStopsReadingGetsTheRestLater() throws {
    let test = try TestLoop()
    let (raw, channel, recorder) = try pair(test)
    recorder.onPacket = { $0.readStop() }
    channel.readStart()
    raw.write([0, 0, 0, 1, 1, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 1, 3, 0, 0])
    for count in 1...4 {
      test.run { recorder.packets.count == count }
      #expect(recorder.packets.count == count)
      channel.readStart()
    }
    raw.write([0, 1, 4])
    test.run { recorder.packets.count == 5 }
    #expect(recorder.packets == [[1], [2], [], [3], [4]])
    // The own end comes in the middle of a delivery.
    recorder.onPacket = { $0.close() }
    channel.readStart()
    raw.write([0, 0, 0, 1, 5, 0, 0, 0, 1, 6])
    test.run { recorder.packets.count == 6 }
    #expect(channel.isClosed)
    raw.close()
    test.close()
  }

  /// Of short packets so many wait, of long ones so many bytes.
  @Test(arguments: [2_000, 60_000])
  func asMuchWaitsAsMayAndTheNextIsDropped(size: Int) throws {
    let test = try TestLoop()
    let (raw, channel, recorder) = try pair(test)
    let packet = bytes(size)
    var taken = 0
    while channel.send(packet) == .taken { taken += 1 }
    if size < PacketChannel.queueByteLimit / PacketChannel.queueLimit {
      #expect(channel.queuedPackets == PacketChannel.queueLimit)
    } else {
      #expect((5...6).contains(channel.queuedPackets))
    }
    #expect(channel.isFull)
    #expect(channel.send([1]) == .full)
    #expect(channel.counters.droppedSending == 2)
    let peer = Recorder(reading: raw)
    test.run { recorder.drains > 0 }
    #expect(channel.queuedPackets == 0)
    #expect(channel.send([]) == .taken)
    let expected = taken * (packet.count + 4) + 4
    test.run { peer.received.count == expected }
    channel.close()
    raw.close()
    test.close()
  }

  @Test func anEndThatNobodyHeardIsToldWhoeverComes() throws {
    let test = try TestLoop()
    let (peer, lower) = try test.socketPair()
    let channel = FramedPacketChannel(lower)
    channel.readStart()
    peer.shutdown()
    test.run("the end") { channel.isClosed }
    let recorder = PacketRecorder()
    channel.delegate = recorder
    #expect(!recorder.isEnded)
    test.run("the news of it") { recorder.isEnded }
    #expect(recorder.failure == nil && channel.delegate == nil)
    let late = PacketRecorder()
    channel.delegate = late
    var turns = 0
    let timer = LoopTimer(test.loop) { turns += 1 }
    timer.start(after: 0, every: 1)
    test.run("some turns") { turns == 3 }
    timer.close()
    #expect(!late.isEnded)
    peer.close()
    test.close()
  }

  @Test func corkedPacketsLeaveTogether() throws {
    let test = try TestLoop()
    let (raw, channel, _) = try pair(test)
    let peer = Recorder(reading: raw)
    channel.cork()
    channel.send([1])
    channel.send([2, 2])
    #expect(channel.queuedPackets == 2)
    channel.uncork()
    #expect(channel.queuedPackets == 0)
    channel.cork()
    channel.send([3])
    channel.close()
    test.run { peer.ended }
    #expect(peer.received == [0, 0, 0, 1, 1, 0, 0, 0, 2, 2, 2, 0, 0, 0, 1, 3])
    raw.close()
    test.close()
  }

  @Test func packetsThatNobodyReadsAreDroppedAboveTheLimit() {
    var queue = PacketQueue()
    for number in 0..<70 {
      let packet = [UInt8](repeating: UInt8(number), count: number % 5)
      #expect(packet.withUnsafeBytes { queue.append($0) } == (number < 64))
    }
    #expect(queue.isFull)
    for number in 0..<64 {
      #expect(queue.first.map { Array($0) } == [UInt8](repeating: UInt8(number), count: number % 5))
      queue.removeFirst()
    }
    #expect(queue.isEmpty)
    #expect(queue.first == nil)
    // One packet always has room, and what is too much in bytes has none.
    let long = [UInt8](repeating: 1, count: PacketChannel.queueByteLimit)
    #expect(long.withUnsafeBytes { queue.append($0) } && queue.isFull)
    #expect(!long.withUnsafeBytes { queue.append(UnsafeRawBufferPointer(rebasing: $0.prefix(1))) })
    queue.removeFirst()
    let half = [UInt8](repeating: 2, count: PacketChannel.queueByteLimit / 2)
    #expect(half.withUnsafeBytes { queue.append($0, after: $0) } && queue.isFull)
    #expect(queue.first.map { Array($0) } == half + half)
    queue.removeAll()
  }
}

struct PacketSpliceTests {
  /// A UDP service that a test reads and writes by itself.
  private final class Service {
    let descriptor: Int32
    let address: SocketAddress

    init() throws {
      let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
      self.descriptor = descriptor
      let any = SocketAddress(.v4(0x7F00_0001), port: 0)
      let status = any.withSockaddr { bind(descriptor, $0, $1) }
      try #require(status == 0)
      address = try #require(SocketOption.localAddress(of: descriptor))
    }

    func close() { Glibc.close(descriptor) }
  }

  @Test func joinsFramesAndUDP() throws {
    let test = try TestLoop()
    let service = try Service()
    let (raw, lower) = try test.socketPair()
    let socket = try UDPSocketChannel(test.loop, to: service.address)
    var counted: (UInt64, UInt64)?
    let splice = PacketSplice(FramedPacketChannel(lower), socket) { splice, failure in
      #expect(failure == nil)
      counted = (splice.bytesFromA, splice.bytesFromB)
    }
    let peer = Recorder(reading: raw)
    raw.write([0, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3])
    var buffer = [UInt8](repeating: 9, count: 16)
    var storage = sockaddr_storage()
    var arrived: [[UInt8]] = []
    // The service is not on the loop: somebody has to look.
    let look = LoopTimer(test.loop) {}
    look.start(after: 0, every: 2)
    test.run {
      var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
      let count = withUnsafeMutablePointer(to: &storage) {
        recvfrom(
          service.descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT),
          UnsafeMutableRawPointer($0).assumingMemoryBound(to: sockaddr.self), &length)
      }
      if count >= 0 { arrived.append(Array(buffer[..<count])) }
      return arrived.count == 2
    }
    look.close()
    #expect(arrived == [[], [1, 2, 3]])
    withUnsafePointer(to: &storage) {
      let address = UnsafeRawPointer($0).assumingMemoryBound(to: sockaddr.self)
      for packet in [[4], []] as [[UInt8]] {
        sendto(service.descriptor, packet, packet.count, 0, address, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    test.run { peer.received.count == 9 }
    #expect(peer.received == [0, 0, 0, 1, 4, 0, 0, 0, 0])
    #expect(splice.packets == 4)
    raw.shutdown()
    test.run { counted != nil && peer.ended }
    #expect(counted?.0 == 3)
    #expect(counted?.1 == 1)
    #expect(socket.isClosed)
    raw.close()
    service.close()
    test.close()
  }

  @Test func aServiceThatIsNotThereEndsTheChannel() throws {
    let test = try TestLoop()
    let service = try Service()
    service.close()
    let (raw, lower) = try test.socketPair()
    var reason: Failure?
    let splice = PacketSplice(FramedPacketChannel(lower), try UDPSocketChannel(test.loop, to: service.address)) {
      reason = $1
    }
    let peer = Recorder(reading: raw)
    raw.write([0, 0, 0, 1, 1])
    test.run { reason != nil && (peer.failure != nil || peer.ended) }
    #expect(reason?.code == -ECONNREFUSED)
    withExtendedLifetime(splice) {}
    test.close()
  }

  @Test(arguments: [true, false])
  func aSideThatHasEndedBeforeEndsTheOther(isFirst: Bool) throws {
    let test = try TestLoop()
    let (peer, lower) = try test.socketPair()
    let (other, left) = try test.socketPair()
    let ended = FramedPacketChannel(lower)
    ended.readStart()
    peer.shutdown()
    test.run("the end") { ended.isClosed }
    let open = FramedPacketChannel(left)
    var isOver = false
    let splice = PacketSplice(isFirst ? ended : open, isFirst ? open : ended) { _, failure in
      #expect(failure == nil)
      isOver = true
    }
    #expect(!isOver)
    let recorder = Recorder(reading: other)
    test.run("both ends") { isOver && recorder.ended }
    #expect(open.isClosed)
    withExtendedLifetime(splice) {}
    peer.close()
    other.close()
    test.close()
  }

  @Test func aSideThatIsFullStopsTheOtherAndNothingIsLost() throws {
    let test = try TestLoop()
    let (source, left) = try test.socketPair()
    let (right, sink) = try test.socketPair()
    let splice = PacketSplice(FramedPacketChannel(left), FramedPacketChannel(right)) { _, _ in }
    let sender = FramedPacketChannel(source)
    let senderEvents = PacketRecorder()
    sender.delegate = senderEvents
    let receiver = FramedPacketChannel(sink)
    let received = PacketRecorder()
    receiver.delegate = received
    var sent = 0
    let total = 3_000
    func send() {
      while sent < total, !sender.isFull {
        var packet = [UInt8](repeating: 1, count: 9_000)
        packet[0] = UInt8(truncatingIfNeeded: sent)
        packet[1] = UInt8(truncatingIfNeeded: sent >> 8)
        #expect(sender.send(packet) == .taken)
        sent += 1
      }
    }
    send()
    // Nobody reads: everything on the way fills up.
    var isStuck = false
    let timer = LoopTimer(test.loop, after: 300) { isStuck = true }
    test.run { isStuck }
    timer.close()
    receiver.readStart()
    test.run {
      send()
      return received.packets.count == total
    }
    for (number, packet) in received.packets.enumerated() {
      #expect(packet.count == 9_000 && Int(packet[0]) | Int(packet[1]) << 8 == number)
    }
    #expect(splice.dropped == 0)
    splice.cut()
    test.run { received.failure != nil && (senderEvents.failure != nil || sender.queuedPackets == 0) }
    sender.reset()
    test.close()
  }

  @Test func anIdleChannelIsNoticed() throws {
    let test = try TestLoop()
    var progress: UInt64 = 0
    var passed = false
    let idle = IdleDeadline(test.loop, after: 80, progress: { progress }, { passed = true })
    let busy = LoopTimer(test.loop) { progress += 1 }
    busy.start(after: 0, every: 5)
    var isOver = false
    let timer = LoopTimer(test.loop, after: 200) { isOver = true }
    test.run { isOver }
    #expect(!passed)
    busy.close()
    test.run { passed }
    timer.close()
    idle.close()
    test.close()
  }
}
