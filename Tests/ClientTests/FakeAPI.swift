// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamNet
import RstreamWire
import TestSupport
import Testing

@testable import RstreamClient

/// The HTTP side of an engine, of the test's own making: it accepts TLS connections, collects request heads and has the
/// test answer them, also as no engine should.
final class FakeAPI: ByteChannelDelegate {
  /// A request's lines, and the connection it came on.
  struct Request {
    let connection: TLSChannel
    let lines: [String]

    /// Whether the client has shown its certificate.
    var hasCertificate: Bool { connection.peerCertificate == .trusted }
    var target: String { lines.first.map { String($0.split(separator: " ")[1]) } ?? "" }

    func field(_ name: String) -> String? {
      lines.first { $0.lowercased().hasPrefix("\(name.lowercased()): ") }.map { String($0.dropFirst(name.count + 2)) }
    }
  }

  let test: TestLoop
  let port: UInt16
  private(set) var requests: [Request] = []
  private(set) var accepted: [TLSChannel] = []
  private(set) var resumed: [Bool] = []
  /// Connections that the client has ended.
  private(set) var ended = 0
  /// Called for each request.
  var onRequest: (Request) -> Void = { _ in }
  private var collected: [ObjectIdentifier: [UInt8]] = [:]
  private var handshakes: [TLSChannel] = []
  private var listener: Listener?

  init(_ test: TestLoop, alpn: ALPNPolicy = .require(["http/1.1", "rstrm/1"])) throws {
    self.test = test
    var settings = TLSContext.ServerSettings()
    settings.certificateFile = TestCertificate.certificateFile
    settings.keyFile = TestCertificate.keyFile
    settings.alpn = alpn
    settings.requestsClientCertificate = true
    settings.clientCAFile = TestCertificate.certificateFile
    let context = try TLSContext(server: settings)
    let any = try #require(SocketAddress(literal: "127.0.0.1", port: 0))
    var accept: (SocketChannel) -> Void = { _ in }
    let listener = try Listener(test.loop, on: any) { accept($0) }
    port = listener.address.port
    self.listener = listener
    accept = { [weak self] socket in
      var channel: TLSChannel?
      channel = try? TLSChannel(server: context, over: socket) { [weak self] failure in
        guard let self, failure == nil, let channel else { return }
        resumed.append(channel.isResumed)
        accepted.append(channel)
        channel.delegate = self
        channel.readStart()
      }
      if let channel { self?.handshakes.append(channel) }
    }
  }

  func client(_ more: [String: String] = [:]) throws -> Client {
    var settings = ClientSettings()
    try settings.set("engine", "localhost:\(port)")
    try settings.set("transport.tls.caFile", TestCertificate.certificateFile)
    for (name, value) in more { try settings.set(name, value) }
    return try Client(test.loop, settings)
  }

  /// Answers every request with these bytes.
  func answer(_ text: String) { onRequest = { $0.connection.write(Array(text.utf8)) } }

  static func response(_ body: String, status: String = "200 OK", type: String = "application/json") -> String {
    "HTTP/1.1 \(status)\r\nContent-Type: \(type)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
  }

  func close() {
    listener?.close()
    for channel in handshakes { channel.reset() }
  }

  // MARK: ByteChannelDelegate

  func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {
    guard let connection = channel as? TLSChannel else { return }
    var head = (collected[ObjectIdentifier(channel)] ?? []) + Array(bytes)
    if head.suffix(4).elementsEqual("\r\n\r\n".utf8) {
      let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n").map(String.init)
      head = []
      let request = Request(connection: connection, lines: lines)
      requests.append(request)
      onRequest(request)
    }
    collected[ObjectIdentifier(channel)] = head
  }

  func channelReceivedEnd(_ channel: ByteChannel) {
    ended += 1
    channel.close()
  }

  func channelDrained(_ channel: ByteChannel) {}

  func channel(_ channel: ByteChannel, failed failure: Failure) { ended += 1 }
}

extension Client {
  /// Lists tunnels and waits for the outcome.
  func listed(_ test: TestLoop, _ filters: InventoryFilters = InventoryFilters(.tunnels), limit: Int? = nil) throws
    -> Result<Inventory, Failure>
  {
    var outcome: Result<Inventory, Failure>?
    try list(filters, limit: limit) { outcome = $0 }
    #expect(outcome == nil)
    test.run { outcome != nil }
    return try #require(outcome)
  }
}

extension Result where Failure == RstreamNet.Failure {
  var failure: RstreamNet.Failure? { if case .failure(let failure) = self { failure } else { nil } }
}
