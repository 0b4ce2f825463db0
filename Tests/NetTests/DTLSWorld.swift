// SPDX-License-Identifier: Apache-2.0
import CUV
import Glibc
import TestSupport
import Testing

@testable import RstreamNet

/// A DTLS listener and clients of it whose datagrams meet in memory, where they are looked at, lost, spoilt and repeated.
final class DTLSWorld: DatagramPath {
  struct Datagram {
    var toServer: Bool
    var port: UInt16
    var bytes: [UInt8]
  }

  let test: TestLoop
  private(set) var listener: DTLSListener! = nil
  /// Associations whose handshake is done at the server, and failures of others.
  private(set) var accepted: [DTLSChannel] = []
  private(set) var failures: [Failure] = []
  /// What has been sent, in order, whether it arrived or not.
  private(set) var sent: [Datagram] = []
  /// What becomes of a datagram.
  var passes: (inout Datagram) -> Bool = { _ in true }
  var places = 1000
  private let authority: String
  private var queue: [Datagram] = []
  private var lines: [UInt16: Line] = [:]

  // What the listener takes for its socket.
  let largestPacket = 65_527
  let isBlocked = false
  var receiver: (any DatagramReceiver)?

  /// - Parameters:
  ///   - ciphers: what the server offers
  ///   - hasRSA: whether its certificate's key is an RSA one
  init(handshakeTimeout: UInt64 = 60_000, ciphers: String = DTLSChannel.ciphers, hasRSA: Bool = false) throws {
    test = try TestLoop()
    let identity =
      hasRSA
      ? TestCertificate.rsaFiles : (certificate: TestCertificate.certificateFile, key: TestCertificate.keyFile)
    authority = identity.certificate
    let gate = try Self.server(identity)
    let served = try Self.server(identity) {
      $0.alpn = .require(["x"])
      $0.ciphers = ciphers
    }
    listener = DTLSListener(
      test.loop, over: self, SocketAddress(.v4(0x7F00_0001), port: 4433), gate, handshakeTimeout: handshakeTimeout,
      admit: { [weak self] in
        guard let self, places > 0 else { return nil }
        places -= 1
        return Place { [weak self] in self?.places += 1 }
      },
      choose: { name, _, _ in name == "localhost" ? .served(served) : .refused(112) },
      { [weak self] channel, failure in
        guard let failure else {
          self?.accepted.append(channel)
          channel.readStart()
          return
        }
        self?.failures.append(failure)
      })
  }

  private static func server(
    _ identity: (certificate: String, key: String), _ adjust: (inout TLSContext.ServerSettings) -> Void = { _ in }
  ) throws -> TLSContext {
    var settings = TLSContext.ServerSettings()
    settings.certificateFile = identity.certificate
    settings.keyFile = identity.key
    settings.isDatagram = true
    adjust(&settings)
    return try TLSContext(server: settings)
  }

  private final class Place {
    private let end: () -> Void
    init(_ end: @escaping () -> Void) { self.end = end }
    deinit { end() }
  }

  // MARK: Clients

  final class Client {
    let channel: DTLSChannel
    let outcome: Outcome
    init(_ channel: DTLSChannel, _ outcome: Outcome) {
      self.channel = channel
      self.outcome = outcome
    }
  }

  final class Outcome {
    var isDone = false
    var failure: Failure?
  }

  /// A client at a port, whose handshake begins. Another one that had the port hears nothing any more.
  func client(_ port: UInt16, name: String = "localhost", alpn: [String] = ["x"]) throws -> Client {
    var settings = TLSContext.ClientSettings()
    settings.isDatagram = true
    settings.caFile = authority
    settings.ciphers = DTLSChannel.clientCiphers
    settings.alpn = alpn
    let line = Line(test.loop) { [weak self] in self?.put(Datagram(toServer: true, port: port, bytes: $0)) }
    lines[port] = line
    let outcome = Outcome()
    let channel = try DTLSChannel(
      client: TLSContext(client: settings), over: line, serverName: name, deadline: 60_000
    ) { failure in
      outcome.isDone = true
      outcome.failure = failure
    }
    return Client(channel, outcome)
  }

  func connected(_ port: UInt16) throws -> Client {
    let client = try client(port)
    let count = accepted.count
    run("a handshake") { client.outcome.isDone && accepted.count > count }
    #expect(client.outcome.failure == nil)
    return client
  }

  // MARK: Datagrams

  func put(_ datagram: Datagram) {
    sent.append(datagram)
    var datagram = datagram
    if passes(&datagram) { queue.append(datagram) }
  }

  /// Something that a client at this port seems to send.
  func inject(_ bytes: [UInt8], from port: UInt16) { queue.append(Datagram(toServer: true, port: port, bytes: bytes)) }

  func run(_ what: String, _ location: SourceLocation = #_sourceLocation, until condition: () -> Bool) {
    // Wakes the loop where nothing but a datagram is waited for.
    let timer = LoopTimer(test.loop) {}
    timer.start(after: 0, every: 1)
    test.run(what, location) {
      deliver()
      return condition()
    }
    timer.close()
  }

  /// Has everything arrive that is under way.
  func settle() {
    while !queue.isEmpty {
      deliver()
      uv_run(test.loop.uv, UV_RUN_NOWAIT)
    }
  }

  private func deliver() {
    let arriving = queue
    queue = []
    for datagram in arriving {
      datagram.toServer ? arrive(datagram) : lines[datagram.port]?.arrive(datagram.bytes)
    }
  }

  private func arrive(_ datagram: Datagram) {
    var server = sockaddr_in()
    var client = Self.address(datagram.port)
    let length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutableBytes(of: &server) { server in
      withUnsafeMutableBytes(of: &client) { client in
        guard let server = server.baseAddress, let client = client.baseAddress else { return }
        let route = DatagramRoute(
          local: server.assumingMemoryBound(to: sockaddr.self), length,
          remote: client.assumingMemoryBound(to: sockaddr.self), length)
        datagram.bytes.withUnsafeBytes { receiver?.pathReceived($0, ecn: 0, route) }
      }
    }
  }

  private static func address(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
  }

  func send(_ packets: UnsafeRawBufferPointer, size: Int, ecn: UInt32, _ route: DatagramRoute) -> Int32 {
    guard let port = SocketAddress(UnsafePointer(route.remote))?.port else { return 0 }
    put(Datagram(toServer: false, port: port, bytes: Array(packets)))
    return 0
  }

  func close() {
    receiver = nil
    queue = []
  }

  func finish() {
    listener.close()
    for channel in accepted { channel.close() }
    for line in lines.values { line.close() }
    test.close()
    // It has this as its socket.
    listener = nil
    passes = { _ in true }
  }
}

/// A client's way to the listener.
private final class Line: PacketChannel {
  private let output: ([UInt8]) -> Void

  init(_ loop: Loop, _ output: @escaping ([UInt8]) -> Void) {
    self.output = output
    super.init(loop)
  }

  override var path: Path { .udp }

  override func transmit(_ packet: UnsafeRawBufferPointer) -> PacketOutcome {
    output(Array(packet))
    return .taken
  }

  override func close() {
    if !isClosed { _ = finish() }
  }

  func arrive(_ packet: [UInt8]) {
    guard !isClosed else { return }
    packet.withUnsafeBytes { deliver($0) }
  }
}
