// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import CUV
import Glibc
import RstreamConfig
import RstreamWire
import TestSupport
import Testing

@testable import RstreamEngine
@testable import RstreamNet

/// A started engine on a loop of its own, and what tests need to talk to it.
final class Harness {
  private let test: TestLoop
  private var held: Engine?
  private var sockets: [SocketChannel] = []

  var engine: Engine {
    guard let held else { preconditionFailure("the harness is finished") }
    return held
  }

  init(_ settings: [String: String] = [:], certificate: Bool = true) throws {
    test = try TestLoop()
    var given = ["tls.listen_addr": "127.0.0.1:0", "auth.open": "true"]
    if certificate {
      given["certs.static.cert_file"] = TestCertificate.certificateFile
      given["certs.static.key_file"] = TestCertificate.keyFile
    }
    var all = EngineSettings()
    for (name, value) in given.merging(settings, uniquingKeysWith: { $1 }) { try all.set(name, value) }
    held = try Engine(loop, all)
    try engine.start()
  }

  var loop: Loop { test.loop }

  /// Runs the loop until `condition` holds.
  func run(_ what: String, _ location: SourceLocation = #_sourceLocation, until condition: () -> Bool) {
    test.run(what, location, until: condition)
  }

  /// Lets everything that is on its way arrive: for things that must not happen.
  func settle() {
    var rounds = 0
    let timer = LoopTimer(loop) { rounds += 1 }
    timer.start(after: 0, every: 1)
    while rounds < 30 { uv_run(loop.uv, UV_RUN_ONCE) }
    timer.close()
  }

  /// Closes engine, connections and loop. Nothing of the engine may be left then, neither a handle nor an object.
  func finish(_ location: SourceLocation = #_sourceLocation) {
    var isClosed = false
    do { try engine.close { isClosed = true } } catch { isClosed = true }
    run("the engine's close", location) { isClosed }
    weak let engine = held
    held = nil
    for socket in sockets { socket.reset() }
    sockets = []
    var loopIsClosed = false
    loop.close { loopIsClosed = true }
    #expect(loopIsClosed, "the loop did not end: handles are left", sourceLocation: location)
    #expect(engine == nil, "something still holds the engine", sourceLocation: location)
  }

  // MARK: Connections

  func connect(port: Int32? = nil) throws -> SocketChannel {
    let port = port ?? engine.port(of: "tls") ?? 0
    var result: Result<SocketChannel, Failure>?
    let address = SocketAddress(.v4(0x7F00_0001), port: UInt16(port))
    let connector = SocketConnector(loop, to: [address]) { result = $0 }
    run("connect") { result != nil }
    withExtendedLifetime(connector) {}
    let socket = try #require(result).get()
    sockets.append(socket)
    return socket
  }

  /// A connection that is reset before a byte was sent, which may show already while it is made.
  func expectRefusal(port: Int32?, _ location: SourceLocation = #_sourceLocation) {
    guard let socket = try? connect(port: port) else { return }
    RawPeer(socket, self).expectGone(location)
  }

  /// A TLS connection, or the failure of its handshake.
  func handshake(
    serverName: String = "localhost", alpn: [String] = ["rstrm/1"], certificate: Bool = false, port: Int32? = nil,
    newest: Bool = true
  ) throws -> Result<TLSChannel, Failure> {
    var settings = TLSContext.ClientSettings()
    settings.skipsVerification = true
    settings.allowsTLS12 = true
    settings.alpn = alpn
    if certificate {
      settings.identity = .files(certificate: TestCertificate.certificateFile, key: TestCertificate.keyFile)
    }
    let context = try TLSContext(client: settings)
    if !newest { rstream_tls_set_max_version(context.raw, TLS1_2_VERSION) }
    var result: Result<Void, Failure>?
    let channel = try TLSChannel(
      client: context, over: connect(port: port), serverName: serverName
    ) { failure in result = failure.map { .failure($0) } ?? .success(()) }
    run("TLS handshake") { result != nil }
    return try #require(result).map { channel }
  }

  func wire() throws -> WirePeer { WirePeer(try handshake().get(), self) }

  /// A client with an open control channel.
  func client(
    agent: String = "test", token: String? = nil, version: String? = "1.4.5", interval: UInt32? = nil
  ) throws -> WirePeer {
    let peer = try wire()
    peer.openControl(agent: agent, token: token, version: version, interval: interval)
    guard case .openControlChannelRsp(let response) = peer.next(), case .ok(let ok) = response.payload else {
      throw HarnessError.refused
    }
    peer.clientID = ok.clientID
    return peer
  }

  enum HarnessError: Error { case refused }
}

extension Result {
  var isFailure: Bool { if case .failure = self { true } else { false } }
}
