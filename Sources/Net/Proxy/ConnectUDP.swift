// SPDX-License-Identifier: Apache-2.0

/// The way of packets through a proxy that speaks HTTP/3 (RFC 9298): each is an HTTP datagram of one request, in a QUIC
/// connection to the proxy.
final class ConnectUDP: DatagramPath, QUICConnectionDelegate, HTTP3TunnelDelegate {
  /// The context of UDP payloads (RFC 9298, section 5).
  private static let context: UInt8 = 0

  var receiver: (any DatagramReceiver)?

  private let connection: QUICConnection
  private let route: TunnelRoute
  private var tunnel: HTTP3Tunnel?
  private var completion: ProxiedPath.Completion?
  private var capsules = CapsuleReader()
  /// What precedes every payload: the stream's number divided by four, and the context.
  private var header: [UInt8] = []
  private var datagram: [UInt8] = []
  private var isOver = false

  /// - Parameters:
  ///   - connection: to the proxy, open, with the protocol h3; it is this one's from now on
  ///   - fields: of the request
  init(
    over connection: QUICConnection, asking fields: [(name: String, value: String)],
    _ completion: @escaping ProxiedPath.Completion
  ) {
    self.connection = connection
    self.completion = completion
    route = TunnelRoute()
    tunnel = HTTP3Tunnel(over: connection, asking: fields, self)
    connection.delegate = self
    connection.onDatagramRoom = { [weak self] in self?.receiver?.pathCanSend() }
  }

  func start() {
    do throws(Failure) { try tunnel?.start() } catch { fail(error) }
  }

  static func fields(authority: String, path: String) -> [(name: String, value: String)] {
    [
      (":method", "CONNECT"), (":protocol", "connect-udp"), (":scheme", "https"), (":authority", authority),
      (":path", path), ("capsule-protocol", "?1"),
    ]
  }

  func close() {
    receiver = nil
    completion = nil
    end()
  }

  private func end() {
    guard !isOver else { return }
    isOver = true
    tunnel?.close()
    tunnel = nil
    connection.finish()
  }

  private func fail(_ failure: Failure) {
    guard !isOver else { return }
    let (report, listener) = (completion, receiver)
    completion = nil
    end()
    report?(.failure(failure))
    listener?.pathEnded(failure)
  }

  // MARK: DatagramPath

  var largestPacket: Int { connection.maximumDatagram - header.count }
  var isBlocked: Bool { connection.isCrowded }

  func send(_ packets: UnsafeRawBufferPointer, size: Int, ecn: UInt32, _ route: DatagramRoute) -> Int32 {
    guard size > 0, !isOver, !header.isEmpty else { return 0 }
    var rest = packets
    while !rest.isEmpty {
      datagram.removeAll(keepingCapacity: true)
      datagram += header
      datagram += rest.prefix(size)
      datagram.withUnsafeBytes { _ = connection.send(datagram: $0) }
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(size))
    }
    return 0
  }

  private func received(_ payload: UnsafeRawBufferPointer) {
    guard let context = VariableLengthInteger.read(payload, from: 0), context.value == Self.context else { return }
    let packet = UnsafeRawBufferPointer(rebasing: payload[context.end...])
    route.lend { receiver?.pathReceived(packet, ecn: 0, $0) }
  }

  // MARK: QUICConnectionDelegate

  func connectionOpened(_ connection: QUICConnection) {}

  func connection(_ connection: QUICConnection, opened stream: QUICStream) { tunnel?.accepted(stream) }

  func connection(_ connection: QUICConnection, received datagram: UnsafeRawBufferPointer) {
    guard let request = tunnel?.requestStream, let stream = VariableLengthInteger.read(datagram, from: 0),
      stream.value == UInt64(request) / 4
    else { return }
    received(UnsafeRawBufferPointer(rebasing: datagram[stream.end...]))
  }

  func connection(_ connection: QUICConnection, ended failure: Failure) { fail(failure) }

  // MARK: HTTP3TunnelDelegate

  func tunnelOpened() {
    guard let request = tunnel?.requestStream else { return }
    header = VariableLengthInteger.encoded(UInt64(request) / 4) + [Self.context]
    let needed = QUICSettings.smallestMaximum
    guard largestPacket >= needed else {
      return fail(
        Failure(
          ErrorCode.proxy,
          "it carries no UDP: it takes QUIC datagrams of \(connection.maximumDatagram) bytes, and packets of "
            + "\(needed) need \(needed + header.count)"))
    }
    let report = completion
    completion = nil
    report?(.success(ProxiedPath(path: self, local: route.local, remote: route.remote)))
  }

  func tunnelReceived(_ bytes: UnsafeRawBufferPointer) {
    capsules.append(bytes) { received($0) }
  }

  func tunnelFailed(_ failure: Failure) { fail(failure) }
}
