// SPDX-License-Identifier: Apache-2.0
import CQUIC
import CUV
import Glibc
import TestSupport
import Testing

@testable import RstreamNet

struct QUICStreamTests {
  /// A stream that both ends know.
  private func stream(_ pair: QUICPair, _ client: QUICConnection) throws -> (QUICStream, QUICStream) {
    let before = pair.atServer.streams.count
    let opened = try #require(try client.openStream())
    opened.write([1])
    pair.test.run("a stream") { pair.atServer.streams.count > before }
    return (opened, try #require(pair.atServer.streams.last))
  }

  /// A stream of a new connection.
  private func opened() throws -> (QUICPair, QUICConnection, QUICStream, QUICStream) {
    let pair = try QUICPair(TestLoop())
    let (client, _) = try pair.connected(QUICRecorder())
    let (stream, accepted) = try stream(pair, client)
    return (pair, client, stream, accepted)
  }

  @Test func carriesBulkBothWaysWithHalfClose() throws {
    let pair = try QUICPair(TestLoop())
    let (client, _) = try pair.connected(QUICRecorder())
    let upload = (0..<3_000_001).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let download = (0..<1_234_567).map { UInt8(truncatingIfNeeded: $0 &* 17) }
    let stream = try #require(try client.openStream())
    let atClient = Recorder(reading: stream)
    stream.write(upload)
    stream.shutdown()
    pair.test.run("a stream") { !pair.atServer.streams.isEmpty }
    let accepted = try #require(pair.atServer.streams.first)
    let atServer = Recorder(reading: accepted)
    pair.test.run("the upload") { atServer.ended }
    #expect(atServer.received == upload)
    accepted.write(download)
    accepted.shutdown()
    pair.test.run("the download") { atClient.ended }
    #expect(atClient.received == download)
    #expect(atClient.drained > 0)
    stream.close()
    accepted.close()
    pair.test.run("the end of the stream") { accepted.slot == nil && stream.slot == nil }
    client.close()
    pair.close()
  }

  /// Notes what it is handed, and the largest piece of it.
  private final class Pieces: ByteChannelDelegate {
    var received: [UInt8] = []
    var largest = 0
    var failure: Failure?
    func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {
      received += bytes
      largest = max(largest, bytes.count)
    }
    func channelReceivedEnd(_ channel: ByteChannel) {}
    func channelDrained(_ channel: ByteChannel) {}
    func channel(_ channel: ByteChannel, failed failure: Failure) { self.failure = failure }
  }

  @Test func packetsThatComeTogetherAreHandedOnAsOnePieceForEachStream() throws {
    let pair = try QUICPair(TestLoop())
    let (client, _) = try pair.connected(QUICRecorder())
    let streams = try (0..<3).map { _ in try stream(pair, client) }
    let pieces = streams.map { _ in Pieces() }
    let sent = (0..<3).map { number in (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* (number + 3)) } }
    for (index, (opened, accepted)) in streams.enumerated() {
      accepted.delegate = pieces[index]
      accepted.readStart()
      opened.write(sent[index])
    }
    pair.test.run("all bytes") { zip(pieces, sent).allSatisfy { $0.received.count == $1.count + 1 } }
    for (piece, bytes) in zip(pieces, sent) { #expect(piece.received == [1] + bytes) }
    // One stream alone has whole batches to itself.
    streams[0].0.write(sent[0])
    pair.test.run("all bytes") { pieces[0].received.count == 2 * sent[0].count + 1 }
    #expect(pieces[0].largest > 10 * 1_452)
    client.close()
    pair.close()
  }

  @Test func whatCameBeforeAResetIsHandedOnBeforeIt() throws {
    let pair = try QUICPair(TestLoop())
    let (client, _) = try pair.connected(QUICRecorder())
    let (opened, accepted) = try stream(pair, client)
    let pieces = Pieces()
    accepted.delegate = pieces
    accepted.readStart()
    pair.test.run("the first byte") { pieces.received == [1] }
    let bytes: [UInt8] = [2, 3]
    bytes.withUnsafeBytes { accepted.loop.gathering.append($0, of: accepted, withEnd: false) }
    #expect(pieces.received == [1])
    accepted.wasReset(7)
    #expect(pieces.received == [1, 2, 3])
    #expect(pieces.failure != nil)
    opened.close()
    client.close()
    pair.close()
  }

  @Test func aStreamThatNobodyReadsHoldsUpItsSenderAndNobodyElse() throws {
    let pair = try QUICPair(TestLoop())
    let (client, server) = try pair.connected(QUICRecorder())
    let (stalled, atServer) = try stream(pair, client)
    let bulk = [UInt8](repeating: 5, count: 1 << 20)
    stalled.write(bulk)
    let (other, otherAtServer) = try stream(pair, client)
    let recorder = Recorder(reading: otherAtServer)
    other.write(bulk)
    pair.test.run("the other stream") { recorder.received.count == bulk.count + 1 }
    #expect(stalled.queuedBytes > bulk.count / 2)
    #expect(server.heldBytes <= 262_144)
    let late = Recorder(reading: atServer)
    pair.test.run("what was held") { late.received.count == bulk.count + 1 }
    #expect(server.heldBytes == 0)
    client.close()
    pair.close()
  }

  @Test func readingCanStopAndGoOn() throws {
    let (pair, client, stream, accepted) = try opened()
    let recorder = Recorder()
    recorder.onEvent = { _, channel in
      channel.readStop()
      channel.loop.later { channel.readStart() }
    }
    accepted.delegate = recorder
    accepted.readStart()
    let bytes = (0..<500_000).map { UInt8(truncatingIfNeeded: $0 &* 13) }
    stream.write(bytes)
    stream.shutdown()
    pair.test.run("everything") { recorder.ended }
    #expect(recorder.received == [1] + bytes)
    client.close()
    pair.close()
  }

  @Test func aResetReachesTheOtherSide() throws {
    let (pair, client, stream, accepted) = try opened()
    let recorder = Recorder(reading: accepted)
    stream.reset()
    pair.test.run("the reset") { recorder.failure != nil }
    #expect(recorder.failure?.code == UV_ECONNRESET.rawValue)
    pair.test.run("the end of the stream") { accepted.slot == nil && stream.slot == nil }
    client.close()
    pair.close()
  }

  /// A stream that waits to be handed on, as one does while its service is connected to, has no delegate.
  @Test(arguments: [true, false]) func whatHappensBetweenTwoOwnersIsToldToTheNext(isReset: Bool) throws {
    let (pair, client, stream, accepted) = try opened()
    if isReset { stream.reset() } else { client.close() }
    pair.test.run("the end of the stream") { accepted.slot == nil }
    #expect(!accepted.isClosed)
    let recorder = Recorder(reading: accepted)
    pair.test.run("the failure") { recorder.failure != nil }
    #expect(accepted.isClosed && recorder.received == [1])
    client.close()
    pair.close()
  }

  @Test func closeSendsWhatIsQueuedThenEndsBothDirections() throws {
    let (pair, client, stream, accepted) = try opened()
    let recorder = Recorder(reading: accepted)
    stream.write([UInt8](repeating: 9, count: 700_000))
    stream.close()
    pair.test.run("the end") { recorder.ended }
    #expect(recorder.received.count == 700_001)
    #expect(recorder.failure == nil)
    // Who goes on writing learns that nobody reads.
    accepted.write([UInt8](repeating: 9, count: 1000))
    pair.test.run("the failure") { recorder.failure != nil }
    #expect(recorder.failure?.code == UV_EPIPE.rawValue)
    pair.test.run("the end of the stream") { accepted.slot == nil && stream.slot == nil }
    client.close()
    pair.close()
  }

  /// A service that answers what it reads, and reads nothing while its answers are not taken.
  private final class EchoService {
    let recorder: Recorder
    var received: [UInt8] = []

    init(_ channel: ByteChannel) {
      recorder = Recorder(reading: channel)
      recorder.onEvent = { [unowned self] recorder, channel in
        received += recorder.received
        channel.write(recorder.received)
        recorder.received = []
        if channel.queuedBytes > 0 { channel.readStop() } else { channel.readStart() }
        if recorder.ended { channel.shutdown() }
      }
    }
  }

  @Test func aPeerThatClosesIsReadToItsEndByASplice() throws {
    let (pair, client, stream, accepted) = try opened()
    let (near, far) = try pair.test.socketPair()
    var failure: Failure?
    var isOver = false
    let splice = Splice(accepted, near) { _, reason in
      failure = reason
      isOver = true
    }
    let service = EchoService(far)
    let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 11) }
    stream.write(bytes)
    stream.close()
    pair.test.run("the end") { service.recorder.ended || service.recorder.failure != nil }
    #expect(service.received == [1] + bytes)
    pair.test.run("the end of the splice") { isOver }
    #expect(failure?.code == UV_EPIPE.rawValue)
    pair.test.run("the end of the stream") { accepted.slot == nil && stream.slot == nil }
    withExtendedLifetime(splice) {}
    far.close()
    client.close()
    pair.close()
  }

  @Test func whatIsWrittenToAPeerThatReadsNoMoreIsDropped() throws {
    let (pair, client, stream, accepted) = try opened()
    let recorder = Recorder()
    accepted.delegate = recorder
    let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 11) }
    stream.write(bytes)
    stream.close()
    accepted.write([UInt8](repeating: 9, count: 1_000_000))
    // Who waits for room is not left waiting.
    pair.test.run("room") { recorder.drained > 0 }
    accepted.write([9])
    #expect(accepted.queuedBytes == 0 && recorder.failure == nil)
    accepted.readStart()
    pair.test.run("the failure") { recorder.failure != nil }
    #expect(recorder.ended && recorder.received == [1] + bytes)
    #expect(recorder.failure?.code == UV_EPIPE.rawValue)
    client.close()
    pair.close()
  }

  @Test func whatHasCompletelyArrivedOutlivesItsConnection() throws {
    let (pair, client, stream, accepted) = try opened()
    let recorder = Recorder()
    accepted.delegate = recorder
    let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 11) }
    accepted.write([UInt8](repeating: 9, count: 1_000_000))
    stream.write(bytes)
    stream.close()
    client.finish()
    pair.test.run("the end of the connection") { pair.atServer.failure != nil }
    pair.test.run("room") { recorder.drained > 0 }
    #expect(recorder.failure == nil && recorder.received.isEmpty)
    accepted.readStart()
    pair.test.run("the failure") { recorder.failure != nil }
    #expect(recorder.ended && recorder.received == [1] + bytes)
    pair.close()
  }

  @Test(arguments: [false, true]) func aPeerThatOnlyStopsReadingIsGivenUp(isNeeded: Bool) throws {
    var settings = QUICSettings()
    settings.stopTimeout = isNeeded ? 60_000 : 50
    let pair = try QUICPair(TestLoop(), settings)
    let (client, _) = try pair.connected(QUICRecorder())
    let (stream, accepted) = try stream(pair, client)
    accepted.needsBothDirections = isNeeded
    let recorder = Recorder(reading: accepted)
    stream.stopReading(code: 0)
    pair.test.run("the stream's end") {
      accepted.write([9])
      return recorder.failure != nil
    }
    #expect(recorder.failure?.code == UV_EPIPE.rawValue && !recorder.ended)
    pair.test.run("the end of the stream") { accepted.slot == nil }
    client.close()
    pair.close()
  }

  @Test func aPeerThatReadsNoMoreMayGoOnSending() throws {
    var settings = QUICSettings()
    settings.stopTimeout = 200
    let pair = try QUICPair(TestLoop(), settings)
    let (client, _) = try pair.connected(QUICRecorder())
    let (stream, accepted) = try stream(pair, client)
    let recorder = Recorder(reading: accepted)
    stream.stopReading(code: 0)
    var count = 0
    let timer = LoopTimer(pair.test.loop) {
      count += 1
      stream.write([2])
      accepted.write([9])
      if count == 20 { stream.shutdown() }
    }
    timer.start(after: 50, every: 50)
    pair.test.run("the end") { recorder.ended || recorder.failure != nil }
    timer.close()
    #expect(recorder.received == [1] + [UInt8](repeating: 2, count: 20))
    pair.test.run("the failure") { recorder.failure != nil }
    client.close()
    pair.close()
  }

  @Test func aWriterWithoutCreditLearnsThatThePeerHasClosed() throws {
    let (pair, client, stream, accepted) = try opened()
    let recorder = Recorder(reading: accepted)
    accepted.write([UInt8](repeating: 9, count: 2_000_000))
    pair.test.run("a full window") { accepted.isBlocked }
    stream.close()
    pair.test.run("the failure") { recorder.failure != nil }
    #expect(recorder.failure?.code == UV_EPIPE.rawValue)
    client.close()
    pair.close()
  }

  @Test func manyStreamsAtOnce() throws {
    let pair = try QUICPair(TestLoop())
    let (client, server) = try pair.connected(QUICRecorder())
    pair.echo()
    var recorders: [Recorder] = []
    for index in 0..<500 {
      let stream = try #require(try client.openStream())
      recorders.append(Recorder(reading: stream))
      stream.write([UInt8](repeating: UInt8(truncatingIfNeeded: index), count: 3_000 + index))
      stream.shutdown()
    }
    pair.test.run("all echoes") { recorders.allSatisfy { $0.ended || $0.failure != nil } }
    for (index, recorder) in recorders.enumerated() {
      #expect(recorder.received == [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: 3_000 + index))
    }
    pair.test.run("the end of all streams") { client.freeSlots.count == 500 && server.freeSlots.count == 500 }
    client.close()
    pair.close()
  }

  @Test func waitsForThePeerToAllowMoreStreams() throws {
    var settings = QUICSettings()
    settings.streams = 2
    let pair = try QUICPair(TestLoop(), settings)
    let (client, _) = try pair.connected(QUICRecorder())
    pair.atServer.onStream = { $0.close() }
    var opened: [QUICStream] = []
    var failures: [Failure] = []
    for _ in 0..<10 {
      client.openStream { result in
        switch result {
        case .success(let stream):
          opened.append(stream)
          stream.write([1])
          stream.close()
        case .failure(let failure): failures.append(failure)
        }
      }
    }
    pair.test.run("ten streams") { opened.count == 10 }
    #expect(failures.isEmpty)
    var late: Failure?
    client.close()
    client.openStream { if case .failure(let failure) = $0 { late = failure } }
    pair.test.run("a refusal") { late != nil }
    pair.close()
  }

  /// Whether ngtcp2 keeps something of streams that only the peer writes to when they are over.
  private static let keepsStreams = NGTCP2_VERSION_NUM < 0x010000

  /// How many streams a client may open one after the other that only it writes to.
  private func unidirectionalStreams(_ settings: QUICSettings) throws -> Int {
    let pair = try QUICPair(TestLoop(), settings)
    let (client, server) = try pair.connected(QUICRecorder())
    pair.atServer.onStream = { $0.readStart() }
    var count = 0
    while count < 100, let stream = try client.openUnidirectionalStream() {
      count += 1
      stream.write([1])
      stream.shutdown()
      pair.test.run("the stream's end") { stream.slot == nil && pair.atServer.streams.last?.slot == nil }
      #expect(pair.atServer.streams.count == count)
      #expect(server.keptUnidirectional == (Self.keepsStreams ? count : 0))
    }
    client.close()
    pair.close()
    return count
  }

  @Test func streamsThatAreKeptGiveNoCreditWithoutEnd() throws {
    var settings = QUICSettings()
    settings.unidirectionalStreams = 3
    #expect(try unidirectionalStreams(settings) == 3)
    settings.keptStreams = 11
    #expect(try unidirectionalStreams(settings) == (Self.keepsStreams ? 13 : 100))
  }

  @Test func streamsFailWithTheirConnection() throws {
    let (pair, client, stream, accepted) = try opened()
    let (atClient, atServer) = (Recorder(), Recorder())
    stream.delegate = atClient
    accepted.delegate = atServer
    client.close()
    #expect(atClient.failure == nil)
    pair.test.run("both failures") { atClient.failure != nil && atServer.failure != nil }
    #expect(pair.atServer.failure?.code == UV_ECONNRESET.rawValue)
    pair.close()
  }

  @Test func finishingWaitsForNoOpenStream() throws {
    let (pair, client, stream, accepted) = try opened()
    _ = try self.stream(pair, client)
    let recorder = Recorder(reading: accepted)
    stream.write([UInt8](repeating: 9, count: 300_000))
    stream.close()
    client.finish()
    pair.test.run("the end of the connection") { pair.atServer.failure != nil }
    #expect(recorder.received.count == 300_001)
    pair.close()
  }

  @Test func drainingWaitsForStreams() throws {
    let pair = try QUICPair(TestLoop())
    let atClient = QUICRecorder()
    let (client, _) = try pair.connected(atClient)
    let (stream, accepted) = try stream(pair, client)
    let (other, _) = try self.stream(pair, client)
    let recorder = Recorder(reading: accepted)
    client.drain()
    stream.write([UInt8](repeating: 9, count: 3_000_000))
    stream.close()
    pair.test.run("the upload") { recorder.ended }
    #expect(recorder.received.count == 3_000_001)
    #expect(!client.isEnded)
    other.close()
    pair.test.run("the end of the connection") { pair.atServer.failure != nil && atClient.failure != nil }
    pair.close()
  }

  @Test func aSpliceJoinsAStreamAndASocket() throws {
    let (pair, client, stream, accepted) = try opened()
    let (near, far) = try pair.test.socketPair()
    var isOver = false
    let splice = Splice(accepted, near) { _, _ in isOver = true }
    let (atClient, atSocket) = (Recorder(reading: stream), Recorder(reading: far))
    let bytes = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    stream.write(bytes)
    stream.shutdown()
    far.write(bytes)
    pair.test.run("both directions") { atSocket.ended && atClient.received.count == bytes.count }
    #expect(atSocket.received == [1] + bytes)
    #expect(atClient.received == bytes)
    far.close()
    pair.test.run("the end") { isOver && atClient.ended }
    withExtendedLifetime(splice) {}
    client.close()
    pair.close()
  }
}
