// SPDX-License-Identifier: Apache-2.0
import CUV
import Glibc
import TestSupport
import Testing

@testable import RstreamNet

/// Paths that lose, damage and move, and clients that are strange to the server.
struct QUICPathTests {
  private func transfer(_ count: Int, loss: Int, corruption: Int, _ control: QUICSettings.CongestionControl = .cubic)
    throws
  {
    var settings = QUICSettings()
    settings.congestionControl = control
    let pair = try QUICPair(TestLoop(), settings)
    let (client, _, path) = try pair.impaired(QUICRecorder(), settings) {
      $0.loss = loss
      $0.corruption = corruption
    }
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 11) }
    pair.echo()
    let stream = try #require(try client.openStream())
    let recorder = Recorder(reading: stream)
    stream.write(bytes)
    stream.shutdown()
    pair.test.run("the echo") { recorder.ended || recorder.failure != nil }
    #expect(recorder.failure == nil)
    #expect(recorder.received == bytes)
    #expect(path.lost > 0 || loss == 0)
    client.close()
    pair.close()
  }

  @Test func survivesLoss() throws { try transfer(1_000_000, loss: 10, corruption: 0) }
  @Test func survivesCorruption() throws { try transfer(300_000, loss: 0, corruption: 10) }
  @Test(arguments: [2, 10]) func survivesLossWithBBR(_ loss: Int) throws {
    try transfer(1_000_000, loss: loss, corruption: 0, .bbr)
  }

  @Test func survivesANewAddressOfTheClient() throws {
    let pair = try QUICPair(TestLoop())
    let (client, server, path) = try pair.impaired()
    pair.echo()
    let stream = try #require(try client.openStream())
    let recorder = Recorder(reading: stream)
    stream.write(Array("before".utf8))
    pair.test.run("an echo") { recorder.text == "before" }
    let old = server.peer
    try path.move(to: QUICSocket(pair.test.loop, to: pair.listener.address))
    stream.write(Array(" after".utf8))
    pair.test.run("another echo") { recorder.text == "before after" }
    pair.test.run("the new address") { server.peer != old }
    client.close()
    pair.close()
  }

  /// What may be too large for the path must not take packets with it that are not.
  @Test func probesForThePathMTUTravelAlone() throws {
    let pair = try QUICPair(TestLoop())
    var known = 1_200
    var probes = 0
    let (client, _, _) = try pair.impaired {
      $0.onBatch = { size, bytes in
        guard size > known else { return }
        #expect(size == bytes)
        known = size
        probes += 1
      }
    }
    var recorder: Recorder?
    pair.atServer.onStream = { recorder = Recorder(reading: $0) }
    let stream = try #require(try client.openStream())
    stream.write([UInt8](repeating: 1, count: 500_000))
    pair.test.run("everything") { recorder?.received.count == 500_000 && probes > 0 }
    client.close()
    pair.close()
  }

  @Test func survivesABlackHole() throws {
    let pair = try QUICPair(TestLoop())
    let (client, _, path) = try pair.impaired()
    var recorder: Recorder?
    pair.atServer.onStream = { recorder = Recorder(reading: $0) }
    let stream = try #require(try client.openStream())
    stream.write([UInt8](repeating: 1, count: 2_000_000))
    path.isCut = true
    let timer = LoopTimer(pair.test.loop, after: 1_500) { path.isCut = false }
    pair.test.run("everything") { recorder?.received.count == 2_000_000 }
    timer.close()
    client.close()
    pair.close()
  }

  @Test func endsWithItsPath() throws {
    let pair = try QUICPair(TestLoop())
    let recorder = QUICRecorder()
    let (client, _, path) = try pair.impaired(recorder)
    let stream = try #require(try client.openStream())
    let reader = Recorder(reading: stream)
    path.pathEnded(Failure(ErrorCode.proxy, "the proxy has gone"))
    for failure in [recorder.failure, reader.failure] {
      #expect(failure?.code == ErrorCode.proxy)
      #expect(failure?.message.contains("the proxy has gone") == true)
    }
    #expect(client.isEnded)
    pair.close()
  }

  @Test func validatesAddressesWithRetry() throws {
    var limits = QUICListener.Limits()
    limits.validation = .always
    let pair = try QUICPair(TestLoop(), QUICSettings(), limits)
    let (client, _) = try pair.connected(QUICRecorder())
    pair.test.run("a token for the next time") { !client.token.isEmpty }
    let token = client.token
    client.close()
    // Who brings a token needs no Retry: one round trip less, which the count of packets shows.
    func packets(_ token: [UInt8]) throws -> Int {
      var path: ImpairedPath?
      let recorder = QUICRecorder()
      let client = try pair.client(recorder, token: token) {
        let counted = ImpairedPath($0)
        path = counted
        return counted
      }
      var sent = 0
      pair.test.run("a handshake") {
        if !recorder.isOpen { sent = path?.sent ?? 0 }
        return recorder.isOpen
      }
      client.close()
      return sent
    }
    #expect(try packets([]) > packets(token))
    #expect(try packets(token.map { $0 ^ 0xFF }) > packets(token))
    pair.close()
  }

  /// Sends one packet and returns what comes back.
  private func answer(_ pair: QUICPair, to packet: [UInt8]) throws -> [UInt8] {
    var answer: [UInt8]?
    let socket = try DatagramSocket(pair.test.loop, to: pair.listener.address, SocketPolicy()) {
      if case .success(let bytes) = $0 { answer = Array(bytes) }
    }
    try socket.send(packet)
    pair.test.run("an answer") { answer != nil }
    socket.close()
    return answer ?? []
  }

  @Test func negotiatesVersions() throws {
    let pair = try QUICPair(TestLoop())
    var packet: [UInt8] = [0xC0, 0xFA, 0xCE, 0xB0, 0x0C, 8, 1, 2, 3, 4, 5, 6, 7, 8, 4, 9, 9, 9, 9]
    packet += [UInt8](repeating: 0, count: 1200 - packet.count)
    let bytes = try answer(pair, to: packet)
    #expect(bytes[1..<5] == [0, 0, 0, 0])
    #expect(bytes[5..<19] == [4, 9, 9, 9, 9, 8, 1, 2, 3, 4, 5, 6, 7, 8])
    let versions = stride(from: 19, to: bytes.count, by: 4).map { Array(bytes[$0..<$0 + 4]) }
    #expect(versions.contains([0, 0, 0, 1]))
    pair.close()
  }

  @Test func aServerThatHasForgottenAConnectionSaysSo() throws {
    let test = try TestLoop()
    let secret = [UInt8](repeating: 3, count: 32)
    let first = try QUICPair(test, secret: secret)
    let recorder = QUICRecorder()
    let (client, server, path) = try first.impaired(recorder)
    let port = first.listener.address.port
    // The server ends without a word.
    path.isCut = true
    first.listener.close()
    server.close()
    test.run("the port") { server.raw == nil }
    let second = try QUICPair(test, secret: secret, port: port)
    path.isCut = false
    let stream = try #require(try client.openStream())
    let atStream = Recorder()
    stream.delegate = atStream
    stream.write([UInt8](repeating: 1, count: 100))
    test.run("the reset") { recorder.failure != nil }
    #expect(recorder.failure?.message.contains("stateless reset") == true, "\(recorder.failure?.message ?? "")")
    #expect(atStream.failure != nil)
    second.close()
  }

  @Test func refusesMoreConnectionsThanAllowed() throws {
    var limits = QUICListener.Limits()
    limits.connections = 1
    let pair = try QUICPair(TestLoop(), QUICSettings(), limits)
    let (client, _) = try pair.connected(QUICRecorder())
    let late = QUICRecorder()
    _ = try pair.client(late)
    pair.test.run("the refusal") { late.failure != nil }
    #expect(late.failure?.message.contains("transport error 2") == true, "\(late.failure?.message ?? "")")
    client.close()
    pair.close()
  }

  @Test func ignoresGarbage() throws {
    let pair = try QUICPair(TestLoop())
    let socket = try DatagramSocket(pair.test.loop, to: pair.listener.address, SocketPolicy()) { _ in }
    var state: UInt64 = 88_172_645_463_325_252
    for round in 0..<2_000 {
      var packet: [UInt8] = []
      for _ in 0..<(round % 1_400) {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        packet.append(UInt8(truncatingIfNeeded: state))
      }
      if round % 3 == 0, packet.count > 5 { packet.replaceSubrange(0..<5, with: [0xC3, 0, 0, 0, 1]) }
      try? socket.send(packet)
      if round % 50 == 0 { uv_run(pair.test.loop.uv, UV_RUN_NOWAIT) }
    }
    let (client, _) = try pair.connected(QUICRecorder())
    client.close()
    socket.close()
    pair.close()
  }

  @Test func nobodyIsMadeToAmplify() throws {
    let pair = try QUICPair(TestLoop())
    // A client that never answers gets at most three times what it has sent.
    final class Tap: DatagramReceiver {
      var received = 0
      func pathReceived(_ packet: UnsafeRawBufferPointer, ecn: UInt32, _ route: DatagramRoute) {
        received += packet.count
      }
      func pathCanSend() {}
      func pathFailed(_ failure: Failure) {}
    }
    let tap = Tap()
    var lower: (any DatagramPath)?
    var upper: ImpairedPath?
    let client = try pair.client(QUICRecorder()) { path in
      lower = path
      let impaired = ImpairedPath(path)
      upper = impaired
      return impaired
    }
    pair.test.run("the first packet") { (upper?.sent ?? 0) > 0 }
    upper?.isCut = true
    lower?.receiver = tap
    var isOver = false
    let timer = LoopTimer(pair.test.loop, after: 1_500) { isOver = true }
    pair.test.run("retransmissions") { isOver }
    timer.close()
    #expect(tap.received > 0)
    #expect(tap.received <= 3 * 1_452 * ((upper?.sent ?? 0) - (upper?.lost ?? 0)))
    client.close()
    pair.close()
  }

  @Test func aSocketWhosePacketsWereRefusedHearsThePeerThatIsBack() throws {
    final class Ear: DatagramReceiver {
      var received = 0
      var refusals = 0
      func pathReceived(_ packet: UnsafeRawBufferPointer, ecn: UInt32, _ route: DatagramRoute) { received += 1 }
      func pathCanSend() {}
      func pathFailed(_ failure: Failure) { refusals += 1 }
    }
    func send(_ packet: [UInt8], from source: QUICSocket, to target: SocketAddress) {
      source.address.withSockaddr { local, localLength in
        target.withSockaddr { remote, remoteLength in
          let route = DatagramRoute(
            local: UnsafeMutablePointer(mutating: local), localLength, remote: UnsafeMutablePointer(mutating: remote),
            remoteLength)
          packet.withUnsafeBytes { _ = source.send($0, size: packet.count, ecn: 2, route) }
        }
      }
    }
    let test = try TestLoop()
    let first = try QUICSocket(test.loop, on: #require(SocketAddress(literal: "127.0.0.1", port: 0)))
    let socket = try QUICSocket(test.loop, to: first.address)
    let ear = Ear()
    socket.receiver = ear
    first.close()
    send([1], from: socket, to: first.address)
    test.run("the refusal") { ear.refusals == 1 }
    let second = try QUICSocket(test.loop, on: first.address)
    send([2], from: second, to: socket.address)
    test.run("a packet") { ear.received == 1 }
    socket.close()
    second.close()
    test.close()
  }
}
