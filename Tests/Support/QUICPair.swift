// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamNet
import Testing

/// Collects what a QUIC connection tells.
public final class QUICRecorder: QUICConnectionDelegate {
  public var isOpen = false
  public var streams: [QUICStream] = []
  public var datagrams: [[UInt8]] = []
  public var failure: Failure?
  /// Called for each stream of the peer.
  public var onStream: (QUICStream) -> Void = { _ in }
  public init() {}

  public func connectionOpened(_ connection: QUICConnection) { isOpen = true }

  public func connection(_ connection: QUICConnection, opened stream: QUICStream) {
    streams.append(stream)
    onStream(stream)
  }

  public func connection(_ connection: QUICConnection, received datagram: UnsafeRawBufferPointer) {
    datagrams.append(Array(datagram))
  }

  public func connection(_ connection: QUICConnection, ended failure: Failure) { self.failure = failure }
}

/// A QUIC server on loopback and clients of it, all on one loop.
public final class QUICPair {
  public let test: TestLoop
  public private(set) var listener: QUICListener! = nil
  public var atServer = QUICRecorder()
  public var served: [QUICConnection] = []
  public static let alpn = "rstrm/1"

  public init(
    _ test: TestLoop, host: String = "127.0.0.1", _ settings: QUICSettings = QUICSettings(),
    _ limits: QUICListener.Limits = QUICListener.Limits(), secret: [UInt8]? = nil, port: UInt16 = 0,
    clientCAFile: String? = nil
  ) throws {
    self.test = test
    let credentials = try QUICCredentials(
      certificateFile: TestCertificate.certificateFile, keyFile: TestCertificate.keyFile, clientCAFile: clientCAFile)
    let address = try #require(SocketAddress(literal: host, port: port))
    listener = try QUICListener(
      test.loop, on: address, settings, limits, secret: secret,
      choose: { hello, _ in
        guard hello.protocols?.contains(Self.alpn) == true else { return .refuseProtocol }
        return .serve(credentials, protocol: Self.alpn, requestsCertificate: true)
      },
      accept: { [weak self] connection in
        connection.delegate = self?.atServer
        self?.served.append(connection)
      })
  }

  public static func credentials(trusting: Bool = true, _ adjust: (inout TLSContext.ClientSettings) -> Void = { _ in })
    throws -> QUICCredentials
  {
    var settings = TLSContext.ClientSettings()
    settings.caFile = trusting ? TestCertificate.certificateFile : nil
    adjust(&settings)
    return try QUICCredentials(client: settings)
  }

  /// A client whose handshake begins.
  public func client(
    _ recorder: QUICRecorder, name: String = "localhost", alpn: [String] = [QUICPair.alpn],
    _ credentials: QUICCredentials? = nil, _ settings: QUICSettings = QUICSettings(), token: [UInt8] = [],
    over wrap: (any DatagramPath) -> any DatagramPath = { $0 }
  ) throws -> QUICConnection {
    let socket = try QUICSocket(test.loop, to: listener.address)
    let connection = try QUICConnection(
      client: credentials ?? Self.credentials(), over: wrap(socket), local: socket.address, remote: listener.address,
      serverName: name, alpn: alpn, test.loop, settings, token: token)
    connection.delegate = recorder
    return connection
  }

  /// A client that has connected, and the server's end.
  public func connected(
    _ recorder: QUICRecorder, _ settings: QUICSettings = QUICSettings(),
    over wrap: (any DatagramPath) -> any DatagramPath = { $0 }
  ) throws -> (client: QUICConnection, server: QUICConnection) {
    let client = try client(recorder, nil, settings, over: wrap)
    test.run("a handshake") { (recorder.isOpen && atServer.isOpen) || recorder.failure != nil }
    #expect(recorder.failure == nil, "\(recorder.failure?.message ?? "")")
    return (client, try #require(served.last))
  }

  /// The same over a path that the test may impair.
  public func impaired(
    _ recorder: QUICRecorder = QUICRecorder(), _ settings: QUICSettings = QUICSettings(),
    _ adjust: (ImpairedPath) -> Void = { _ in }
  ) throws -> (client: QUICConnection, server: QUICConnection, path: ImpairedPath) {
    var path: ImpairedPath?
    let (client, server) = try connected(recorder, settings) {
      let impaired = ImpairedPath($0)
      adjust(impaired)
      path = impaired
      return impaired
    }
    return (client, server, try #require(path))
  }

  /// Has the server send back what comes on each stream.
  public func echo() {
    atServer.onStream = {
      Recorder(reading: $0).onEvent = { recorder, channel in
        channel.write(recorder.received)
        recorder.received = []
        if recorder.ended { channel.shutdown() }
      }
    }
  }

  public func close() {
    listener.close()
    for connection in served { connection.close() }
    test.close()
  }
}
