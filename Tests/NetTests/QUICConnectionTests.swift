// SPDX-License-Identifier: Apache-2.0
import CQUIC
import CUV
import Glibc
import TestSupport
import Testing

@testable import RstreamNet

struct QUICConnectionTests {
  @Test func shakesHandsAndAgreesOnAProtocol() throws {
    let pair = try QUICPair(TestLoop())
    let recorder = QUICRecorder()
    let (client, server) = try pair.connected(recorder)
    #expect(client.negotiatedProtocol == QUICPair.alpn)
    #expect(server.negotiatedProtocol == QUICPair.alpn)
    #expect(server.clientHello?.serverName == "localhost")
    #expect(server.peerCertificate == .none)
    #expect(client.peer == pair.listener.address)
    #expect(client.sessionDescription.hasPrefix("QUIC v1, TLS 1.3 AES-"))
    // Two days, or a moment less.
    #expect(client.peerCertificateDays.map { (1...2).contains($0) } == true)
    client.close()
    pair.test.run("the end") { pair.atServer.failure != nil }
    #expect(pair.atServer.failure?.message.contains("code 0: transport closed") == true)
    pair.close()
  }

  /// Neither side paces the handshake by its guess of a round trip.
  @Test func shakesHandsAtTheSpeedOfThePath() throws {
    let pair = try QUICPair(TestLoop())
    let durations = try (0..<10).map { _ in
      pair.atServer.isOpen = false
      let start = rstream_quic_now()
      let (client, _) = try pair.connected(QUICRecorder())
      let duration = rstream_quic_now() - start
      client.close()
      return duration
    }
    #expect(durations.min().map { $0 < 15_000_000 } == true, "\(durations) ns")
    pair.close()
  }

  @Test func looksAtTheSystemsAuthoritiesOnlyWhenItsOwnDoNotVouch() throws {
    let pair = try QUICPair(TestLoop())
    for isTrusting in [true, false] {
      let recorder = QUICRecorder()
      let credentials = try QUICPair.credentials(trusting: isTrusting)
      let client = try pair.client(recorder, credentials)
      pair.test.run("an outcome") { recorder.isOpen || recorder.failure != nil }
      #expect(recorder.isOpen == isTrusting)
      #expect(credentials.trustSystem() == isTrusting)
      client.close()
    }
    pair.close()
  }

  @Test func worksOverIPv6() throws {
    let pair = try QUICPair(TestLoop(), host: "::")
    let recorder = QUICRecorder()
    for literal in ["::1", "127.0.0.1"] {
      pair.atServer.isOpen = false
      let address = try #require(SocketAddress(literal: literal, port: pair.listener.address.port))
      let socket = try QUICSocket(pair.test.loop, to: address)
      let client = try QUICConnection(
        client: QUICPair.credentials(), over: socket, local: socket.address, remote: address, serverName: "localhost",
        alpn: [QUICPair.alpn], pair.test.loop)
      client.delegate = recorder
      pair.test.run("a handshake") { recorder.isOpen && pair.atServer.isOpen }
      #expect(pair.served.last?.peer?.hostText == literal)
      client.close()
    }
    pair.close()
  }

  /// Whatever authorities the server names.
  @Test(arguments: [nil, TestCertificate.strangerFile]) func showsAClientCertificate(_ authorities: String?) throws {
    let pair = try QUICPair(TestLoop(), clientCAFile: authorities)
    let recorder = QUICRecorder()
    let credentials = try QUICPair.credentials {
      $0.identity = .files(certificate: TestCertificate.certificateFile, key: TestCertificate.keyFile)
    }
    let client = try pair.client(recorder, credentials)
    pair.test.run("a handshake") { pair.atServer.isOpen }
    #expect(pair.served.first?.peerCertificate == .untrusted)
    client.close()
    pair.close()
  }

  @Test func acceptsNoUnknownAuthorityNameOrProtocol() throws {
    let pair = try QUICPair(TestLoop())
    func failure(
      name: String = "localhost", alpn: [String] = [QUICPair.alpn], trusting: Bool = true, insecure: Bool = false
    ) throws -> Failure? {
      let recorder = QUICRecorder()
      let credentials = try QUICPair.credentials(trusting: trusting) { $0.skipsVerification = insecure }
      let client = try pair.client(recorder, name: name, alpn: alpn, credentials)
      pair.test.run("an outcome") { recorder.isOpen || recorder.failure != nil }
      client.close()
      return recorder.failure
    }
    let unknown = try failure(trusting: false)
    #expect(unknown?.code == ErrorCode.tls)
    #expect(unknown?.message.contains("certificate not accepted: The certificate is NOT trusted") == true)
    let named = try failure(name: "example.com")
    #expect(named?.code == ErrorCode.tls)
    #expect(named?.message.contains("name in the certificate does not match") == true)
    #expect(try failure(name: "127.0.0.1") == nil)
    #expect(try failure(name: "127.0.0.2")?.code == ErrorCode.tls)
    #expect(try failure(name: "example.com", trusting: false, insecure: true) == nil)
    let spoken = try failure(alpn: ["h9"])
    #expect(spoken?.code == ErrorCode.tls)
    #expect(spoken?.message.contains("application protocol") == true, "\(spoken?.message ?? "nothing")")
    pair.close()
  }

  @Test func saysWhatCredentialsLack() throws {
    #expect(throws: Failure.self) { try QUICPair.credentials { $0.caFile = "/nonexistent.pem" } }
    #expect(throws: Failure.self) { try QUICCredentials(certificateFile: "/nonexistent.pem", keyFile: "/none.key") }
    let refused = #expect(throws: Failure.self) { try QUICPair.credentials { $0.awaitsExternalIdentity = true } }
    #expect(refused?.code == ErrorCode.unsupportedMTLSStorage)
  }

  @Test func aPortWithoutServerIsNoticedAtOnce() throws {
    let test = try TestLoop()
    let free = try QUICSocket(test.loop, on: #require(SocketAddress(literal: "127.0.0.1", port: 0)))
    let address = free.address
    free.close()
    let socket = try QUICSocket(test.loop, to: address)
    let recorder = QUICRecorder()
    let begin = uv_hrtime()
    let client = try QUICConnection(
      client: QUICPair.credentials(), over: socket, local: socket.address, remote: address, serverName: "localhost",
      alpn: [QUICPair.alpn], test.loop)
    client.delegate = recorder
    test.run("a failure") { recorder.failure != nil }
    #expect(recorder.failure?.code == UV_ECONNREFUSED.rawValue)
    #expect(uv_hrtime() - begin < 5_000_000_000)
    test.close()
  }

  @Test func endsAfterSilence() throws {
    var settings = QUICSettings()
    settings.keepAlive = 0
    let pair = try QUICPair(TestLoop(), settings)
    settings.idleTimeout = 150
    let recorder = QUICRecorder()
    let (client, _) = try pair.connected(recorder, settings)
    pair.test.run("the end of both") { recorder.failure != nil && pair.atServer.failure != nil }
    #expect(recorder.failure?.code == UV_ETIMEDOUT.rawValue)
    #expect(pair.atServer.failure?.code == UV_ETIMEDOUT.rawValue)
    #expect(pair.atServer.failure?.message.contains("nothing was heard for 150 ms") == true)
    #expect(client.isEnded)
    pair.close()
  }

  /// As seldom as is set, but often enough for a peer that gives up sooner than that.
  @Test(arguments: [(client: 450, server: 30_000, keepAlive: 100), (client: 30_000, server: 450, keepAlive: 10_000)])
  func keepAlivePreventsSilence(_ times: (client: UInt64, server: UInt64, keepAlive: UInt64)) throws {
    var settings = QUICSettings()
    settings.idleTimeout = times.server
    settings.keepAlive = 0
    let pair = try QUICPair(TestLoop(), settings)
    settings.idleTimeout = times.client
    settings.keepAlive = times.keepAlive
    let recorder = QUICRecorder()
    let (client, _) = try pair.connected(recorder, settings)
    var isOver = false
    let timer = LoopTimer(pair.test.loop, after: 1_000) { isOver = true }
    pair.test.run("a second") { isOver }
    timer.close()
    #expect(recorder.failure == nil)
    client.close()
    pair.close()
  }

  @Test func goesOnWithNewKeys() throws {
    let pair = try QUICPair(TestLoop())
    let (client, server) = try pair.connected(QUICRecorder())
    let echo = Recorder()
    echo.onEvent = { recorder, channel in
      channel.write(recorder.received)
      recorder.received = []
    }
    pair.atServer.onStream = {
      $0.delegate = echo
      $0.readStart()
    }
    let stream = try #require(try client.openStream())
    let recorder = Recorder(reading: stream)
    var updates = 0
    for round in 1...6 {
      stream.write(Array("round \(round);".utf8))
      pair.test.run("an echo") { recorder.text.hasSuffix("round \(round);") }
      // Keys that have protected enough packets are updated by ngtcp2 itself.
      let side = round % 2 == 0 ? client : server
      let raw = try #require(side.raw)
      if ngtcp2_conn_initiate_key_update(raw, rstream_quic_now()) == 0 { updates += 1 }
      side.schedule()
      // Keys are updated once the last ones have been seen in use for some time.
      var isOver = false
      let timer = LoopTimer(pair.test.loop, after: 120) { isOver = true }
      pair.test.run("the time between updates") { isOver }
      timer.close()
    }
    #expect(updates >= 3)
    client.close()
    pair.close()
  }

  @Test func carriesDatagramsBothWays() throws {
    let pair = try QUICPair(TestLoop())
    let atClient = QUICRecorder()
    let (client, server) = try pair.connected(atClient)
    #expect(client.maximumDatagram >= 1_150)
    for index in 0..<50 { _ = [UInt8(index), 1, 2].withUnsafeBytes { client.send(datagram: $0) } }
    pair.test.run("datagrams") { pair.atServer.datagrams.count == 50 }
    #expect(pair.atServer.datagrams.map { $0[0] } == Array(0..<50))
    let largest = [UInt8](repeating: 7, count: server.maximumDatagram)
    #expect(largest.withUnsafeBytes { server.send(datagram: $0) })
    pair.test.run("the largest datagram") { atClient.datagrams.count == 1 }
    #expect(atClient.datagrams.first == largest)
    #expect([UInt8]().withUnsafeBytes { server.send(datagram: $0) })
    pair.test.run("an empty datagram") { atClient.datagrams.count == 2 }
    #expect(atClient.datagrams.last == [])
    #expect([UInt8](repeating: 7, count: 1_500).withUnsafeBytes { client.send(datagram: $0) } == false)
    #expect(client.droppedDatagrams == 1)
    for index in 0..<200 { _ = [UInt8(index), 1, 2].withUnsafeBytes { client.send(datagram: $0) } }
    pair.test.run("the newest datagram") { pair.atServer.datagrams.last?.first == 199 }
    #expect(client.droppedDatagrams == 201 - UInt64(client.settings.datagramQueue))
    client.close()
    pair.close()
  }

  @Test func findsALargerPathMTU() throws {
    let pair = try QUICPair(TestLoop())
    let (client, _) = try pair.connected(QUICRecorder())
    let before = client.maximumDatagram
    pair.test.run("probes") { client.maximumDatagram > 1_350 }
    #expect(before < client.maximumDatagram)
    client.close()
    pair.close()
  }

  @Test func writesQLogAndSecretsWhenAsked() throws {
    var template = Array("/tmp/rstream-qlog-XXXXXX".utf8CString)
    let directory = String(cString: mkdtemp(&template))
    var settings = QUICSettings()
    settings.qlogDirectory = directory
    settings.keyLogFile = "\(directory)/keys"
    let pair = try QUICPair(TestLoop())
    let (client, _) = try pair.connected(QUICRecorder(), settings)
    client.close()
    pair.close()
    let keys = try #require(fopen("\(directory)/keys", "r"))
    var line = [CChar](repeating: 0, count: 256)
    #expect(fgets(&line, 256, keys) != nil)
    fclose(keys)
    #expect(line.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }.contains("TRAFFIC_SECRET"))
    let listing = try #require(opendir(directory))
    var logs = 0
    while let entry = readdir(listing) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name.hasSuffix("_client.sqlog") { logs += 1 }
    }
    closedir(listing)
    #expect(logs == 1)
  }
}
