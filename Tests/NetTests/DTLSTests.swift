// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import TestSupport
import Testing

@testable import RstreamNet

private final class Packets: PacketChannelDelegate {
  var received: [String] = []
  var isEnded = false
  var failure: Failure?

  func packetChannel(_ channel: PacketChannel, received packet: UnsafeRawBufferPointer) {
    received.append(String(decoding: packet, as: UTF8.self))
  }

  func packetChannelPaused(_ channel: PacketChannel) {}
  func packetChannelDrained(_ channel: PacketChannel) {}
  func packetChannelEnded(_ channel: PacketChannel) { isEnded = true }
  func packetChannel(_ channel: PacketChannel, failed failure: Failure) { self.failure = failure }
}

extension PacketChannel {
  fileprivate func say(_ text: String) { _ = Array(text.utf8).withUnsafeBytes { send($0) } }
}

struct DTLSTests {
  /// A client's hellos, whole ones: without a cookie and with it.
  private func hellos(_ world: DTLSWorld, from port: UInt16) -> [[UInt8]] {
    world.sent.filter { $0.toServer && $0.port == port && $0.bytes.withUnsafeBytes { DTLSHello($0) } != nil }.map(
      \.bytes)
  }

  private func answers(_ world: DTLSWorld, to port: UInt16) -> [[UInt8]] {
    world.sent.filter { !$0.toServer && $0.port == port }.map(\.bytes)
  }

  @Test func carriesPackets() throws {
    let world = try DTLSWorld()
    let client = try world.connected(1)
    #expect(client.channel.negotiatedProtocol == "x")
    let server = try #require(world.accepted.last)
    #expect(server.serverName == "localhost")
    let (atClient, atServer) = (Packets(), Packets())
    client.channel.delegate = atClient
    server.delegate = atServer
    client.channel.readStart()
    client.channel.say("there")
    server.say("back")
    world.run("packets") { atServer.received == ["there"] && atClient.received == ["back"] }
    client.channel.close()
    world.run("the end") { atServer.isEnded }
    #expect(world.places == 1000)
    world.finish()
  }

  private static let ciphers = [
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-CCM", "ECDHE-ECDSA-AES256-CCM", "ECDHE-ECDSA-AES128-CCM8", "ECDHE-ECDSA-AES256-CCM8",
    "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305",
  ]
  /// OpenSSL 3.2 and later take tags of 8 bytes at security level 0 only.
  private static let offered = ciphers.filter { OpenSSL_version_num() < 0x3020_0000 || !$0.hasSuffix("CCM8") }

  /// The shortest packets, and the alerts, are those that an overhead told too high loses.
  @Test(arguments: offered, [true, false])
  func carriesTheShortestPackets(cipher: String, clientCloses: Bool) throws {
    let world = try DTLSWorld(ciphers: cipher, hasRSA: cipher.contains("RSA-") && !cipher.contains("ECDSA"))
    let client = try world.connected(1)
    let server = try #require(world.accepted.last)
    let (atClient, atServer) = (Packets(), Packets())
    client.channel.delegate = atClient
    server.delegate = atServer
    client.channel.readStart()
    for length in 1...9 {
      client.channel.say(String(repeating: "c", count: length))
      server.say(String(repeating: "s", count: length))
      world.run("packets") { atServer.received.last?.count == length && atClient.received.last?.count == length }
    }
    if clientCloses { client.channel.close() } else { server.close() }
    world.run("the end") { clientCloses ? atServer.isEnded : atClient.isEnded }
    #expect(world.places == 1000)
    client.channel.close()
    world.finish()
  }

  @Test(arguments: [2, 10]) func shakesHandsOnAPathThatLoses(percent: UInt64) throws {
    let world = try DTLSWorld()
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    var lost = 0
    world.passes = { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      guard (state >> 33) % 100 < percent else { return true }
      lost += 1
      return false
    }
    let clients = try (1...40).map { try world.client($0) }
    world.run("handshakes") { clients.allSatisfy { $0.outcome.isDone } && world.accepted.count == clients.count }
    #expect(clients.allSatisfy { $0.outcome.failure == nil })
    #expect(lost > 0 && world.listener.handshakes == 0)
    for client in clients { client.channel.close() }
    world.finish()
  }

  /// The flights behind the cookie are lost once, the very last ones as well.
  @Test func repeatsWhateverIsLost() throws {
    let world = try DTLSWorld()
    let (serverHello, keyExchange, ticket): (UInt8, UInt8, UInt8) = (2, 16, 4)
    var lost: Set<UInt8> = []
    world.passes = { datagram in
      guard datagram.bytes[0] == 22, datagram.bytes[4] == 0,
        [serverHello, keyExchange, ticket].contains(datagram.bytes[13])
      else { return true }
      return !lost.insert(datagram.bytes[13]).inserted
    }
    let client = try world.client(1)
    let server = Packets()
    var hasSpoken = false
    world.run("a packet") {
      if client.outcome.isDone, !hasSpoken, let channel = world.accepted.first {
        hasSpoken = true
        channel.delegate = server
        client.channel.say("at last")
      }
      return server.received == ["at last"]
    }
    #expect(client.outcome.failure == nil && lost.count == 3)
    client.channel.close()
    world.finish()
  }

  @Test func keepsNothingBeforeTheCookie() throws {
    let world = try DTLSWorld()
    world.passes = { $0.toServer }
    let client = try world.client(1)
    world.run("an answer") { !answers(world, to: 1).isEmpty }
    let hello = try #require(hellos(world, from: 1).first)
    for port in 2..<200 { world.inject(hello, from: UInt16(port)) }
    world.run("answers") { answers(world, to: 199).count == 1 }
    for port in 2..<200 {
      let answer = try #require(answers(world, to: UInt16(port)).first)
      // HelloVerifyRequest, and no amplification.
      #expect(answer[13] == 3 && answer.count < hello.count)
    }
    #expect(world.listener.handshakes == 0 && world.places == 1000)
    client.channel.close()
    world.finish()
  }

  /// A cookie is for one address.
  @Test func takesNobodyElsesCookie() throws {
    let world = try DTLSWorld()
    let client = try world.connected(1)
    let shown = try #require(hellos(world, from: 1).last)
    world.inject(shown, from: 2)
    world.run("an answer") { !answers(world, to: 2).isEmpty }
    #expect(try #require(answers(world, to: 2).first)[13] == 3)
    #expect(world.accepted.count == 1 && world.listener.handshakes == 0)
    client.channel.close()
    world.finish()
  }

  @Test func aClientThatStartsOverReplacesItsAssociationOnceItIsVerified() throws {
    let world = try DTLSWorld()
    let first = try world.connected(1)
    let old = try #require(world.accepted.last)
    let atOld = Packets()
    old.delegate = atOld
    // A hello without cookie, as somebody else may send it in the client's name, changes nothing.
    let bare = try #require(hellos(world, from: 1).first)
    var strange = bare
    strange[30] ^= 0xFF
    let before = answers(world, to: 1).count
    world.inject(strange, from: 1)
    world.run("an answer") { answers(world, to: 1).count > before }
    first.channel.say("still here")
    world.run("a packet") { atOld.received == ["still here"] }
    #expect(!atOld.isEnded)
    // Whoever has the port now shows the cookie that it is sent.
    let second = try world.connected(1)
    #expect(atOld.isEnded && world.accepted.count == 2)
    let atNew = Packets()
    try #require(world.accepted.last).delegate = atNew
    second.channel.say("again")
    world.run("a packet") { atNew.received == ["again"] }
    #expect(world.places == 999)
    first.channel.close()
    second.channel.close()
    world.finish()
  }

  /// What the network repeats, or somebody else, is not a client that starts over.
  @Test func aRepeatedHelloDisturbsNobody() throws {
    let world = try DTLSWorld()
    let client = try world.connected(1)
    let server = Packets()
    try #require(world.accepted.last).delegate = server
    for hello in hellos(world, from: 1) + hellos(world, from: 1) { world.inject(hello, from: 1) }
    world.settle()
    client.channel.say("undisturbed")
    world.run("a packet") { server.received == ["undisturbed"] }
    #expect(!server.isEnded && world.accepted.count == 1)
    client.channel.close()
    world.finish()
  }

  @Test func aClientMayStartOverInTheMiddleOfItsHandshake() throws {
    let world = try DTLSWorld()
    world.passes = { datagram in datagram.toServer || datagram.bytes[13] == 3 }
    let first = try world.client(1)
    world.run("half a handshake") { world.listener.handshakes == 1 }
    world.passes = { _ in true }
    let second = try world.client(1)
    world.run("a handshake") { second.outcome.isDone && !world.accepted.isEmpty }
    #expect(second.outcome.failure == nil && world.listener.handshakes == 0 && world.places == 999)
    first.channel.close()
    second.channel.close()
    world.finish()
  }

  @Test func boundsAssociationsAndHandshakes() throws {
    let world = try DTLSWorld()
    world.places = 2
    let clients = try (1...3).map { try world.client($0) }
    world.run("two handshakes") { clients.filter(\.outcome.isDone).count == 2 }
    #expect(world.accepted.count == 2 && world.listener.handshakes == 0)
    let waiting = try #require(clients.first { !$0.outcome.isDone })
    // It asks again, and there is a place.
    try #require(world.accepted.first).close()
    world.run("the third") { waiting.outcome.isDone && world.accepted.count == 3 }
    #expect(waiting.outcome.failure == nil)
    for client in clients { client.channel.close() }
    world.settle()

    // Who shows a cookie and then says nothing.
    world.places = 10_000
    let settled = try world.connected(1)
    let server = Packets()
    try #require(world.accepted.last).delegate = server
    world.passes = { $0.toServer || $0.bytes[13] == 3 }
    let silent = try (1...DTLSListener.handshakeLimit + 20).map { try world.client(UInt16(1_000 + $0)) }
    world.run("handshakes") { world.listener.handshakes == DTLSListener.handshakeLimit }
    world.settle()
    #expect(world.listener.handshakes == DTLSListener.handshakeLimit)
    // Who starts over then keeps the association that there is.
    let again = try world.client(1)
    world.settle()
    #expect(hellos(world, from: 1).count > 2 && !again.outcome.isDone && !server.isEnded)
    settled.channel.say("still here")
    world.run("a packet") { server.received == ["still here"] }
    again.channel.close()
    settled.channel.close()
    for client in silent { client.channel.close() }
    world.finish()
  }

  @Test func givesUpAClientThatFallsSilent() throws {
    let world = try DTLSWorld(handshakeTimeout: 50)
    world.passes = { $0.toServer || $0.bytes[13] == 3 }
    let client = try world.client(1)
    world.run("the end of its time") { world.failures.count == 1 }
    #expect(world.failures.first?.code == ErrorCode.operationTimeout)
    #expect(world.listener.handshakes == 0 && world.places == 1000)
    client.channel.close()
    world.finish()
  }

  @Test(arguments: [("elsewhere", ["x"]), ("localhost", ["y"])])
  func refusesOtherNamesAndProtocols(name: String, alpn: [String]) throws {
    let world = try DTLSWorld()
    let client = try world.client(1, name: name, alpn: alpn)
    world.run("a refusal") { client.outcome.isDone }
    #expect(client.outcome.failure?.code == ErrorCode.tls)
    #expect(world.accepted.isEmpty && world.failures.count == 1 && world.listener.handshakes == 0)
    world.finish()
  }

  /// Records of all shapes, before, during and after the handshake: the client goes on.
  @Test func badRecordsDisturbNobody() throws {
    let world = try DTLSWorld()
    var state: UInt64 = 7
    func random() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state >> 33
    }
    func bad() -> [UInt8] {
      let kind = UInt8(20 + random() % 6)
      let length = Int(random() % 80)
      var record: [UInt8] = [kind, 0xFE, UInt8(0xFD + random() % 3), 0, UInt8(random() % 3)]
      record += (0..<6).map { _ in UInt8(truncatingIfNeeded: random()) }
      record += [UInt8(random() % 2), UInt8(truncatingIfNeeded: length + Int(random() % 3) - 1)]
      return record + (0..<length).map { _ in UInt8(truncatingIfNeeded: random()) }
    }
    // Of another epoch only: what has the handshake's own numbers may end it, as the client itself may.
    func ofNoEpoch() -> [UInt8] {
      var record = bad()
      record[3] = 0x40
      return record
    }
    for _ in 0..<200 { world.inject(bad(), from: 1) }
    world.settle()
    var lastPort: UInt16 = 0
    world.passes = { datagram in
      if datagram.port == 1, lastPort == 0 {
        lastPort = 1
        for _ in 0..<50 { world.inject(ofNoEpoch(), from: 1) }
        lastPort = 0
      }
      return true
    }
    let client = try world.connected(1)
    let server = Packets()
    try #require(world.accepted.last).delegate = server
    world.passes = { _ in true }
    let own = world.sent.filter { $0.toServer && $0.bytes.first == 22 }.map(\.bytes)
    for _ in 0..<500 { world.inject(bad(), from: 1) }
    for datagram in own.dropFirst(2) {
      for cut in stride(from: 0, to: datagram.count, by: 7) { world.inject(Array(datagram.prefix(cut)), from: 1) }
    }
    world.settle()
    client.channel.say("undisturbed")
    world.run("a packet") { server.received == ["undisturbed"] }
    #expect(server.failure == nil, "\(server.failure?.message ?? "")")
    #expect(!server.isEnded)
    client.channel.close()
    world.finish()
  }
}
