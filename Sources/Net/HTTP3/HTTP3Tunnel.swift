// SPDX-License-Identifier: Apache-2.0
import CHTTP3

/// What an HTTP/3 tunnel tells.
protocol HTTP3TunnelDelegate: AnyObject {
  /// The server has said yes.
  func tunnelOpened()
  /// Bytes that came on the request's stream; borrowed for the call.
  func tunnelReceived(_ bytes: UnsafeRawBufferPointer)
  /// The server refuses, or the tunnel is over. Nothing is told after this.
  func tunnelFailed(_ failure: Failure)
}

/// One extended CONNECT (RFC 9220) with HTTP datagrams (RFC 9297) that has a QUIC connection to itself. The frames are
/// nghttp3's; their bytes travel in the connection's streams, which keep what is not acknowledged themselves.
final class HTTP3Tunnel: ByteChannelDelegate {
  static let alpn = "h3"

  private enum State { case awaitsSettings, asking, open, over }

  private let connection: QUICConnection
  private let fields: [(name: String, value: String)]
  private weak var delegate: (any HTTP3TunnelDelegate)?
  private var session: OpaquePointer?
  private var state = State.awaitsSettings
  private var status = 0
  /// All streams, the peer's as well.
  private var streams: [QUICStream] = []
  private var controlStream: Int64 = -1
  private var request: QUICStream?
  /// The own control stream has begun.
  private var isIntroduced = false
  /// Beginnings of the peer's streams while its SETTINGS are looked for.
  private var beginnings: [Int64: [UInt8]] = [:]
  private var failure: Failure?

  /// - Parameter fields: of the request, pseudo-fields first
  init(
    over connection: QUICConnection, asking fields: [(name: String, value: String)], _ delegate: any HTTP3TunnelDelegate
  ) {
    self.connection = connection
    self.fields = fields
    self.delegate = delegate
  }

  deinit {
    if let session { nghttp3_conn_del(session) }
  }

  /// The stream whose number HTTP datagrams name.
  var requestStream: Int64? { state == .open ? request?.id : nil }

  func start() throws(Failure) {
    var callbacks = nghttp3_callbacks()
    callbacks.recv_header = { _, _, _, name, value, _, data, _ in
      HTTP3Tunnel.of(data)?.received(name, value)
      return 0
    }
    callbacks.end_headers = { _, _, _, data, _ in
      HTTP3Tunnel.of(data)?.answered()
      return 0
    }
    callbacks.recv_data = { _, _, bytes, count, data, _ in
      HTTP3Tunnel.of(data)?.receivedBody(UnsafeRawBufferPointer(start: bytes, count: count))
      return 0
    }
    var session: OpaquePointer?
    let status = rstream_http3_client_new(&session, &callbacks, Unmanaged.passUnretained(self).toOpaque())
    guard status == 0, let session else { throw Self.failure(status, "speak HTTP/3") }
    self.session = session
    let control = try openUnidirectional()
    let encoder = try openUnidirectional()
    let decoder = try openUnidirectional()
    controlStream = control.id
    _ = nghttp3_conn_bind_control_stream(session, control.id)
    _ = nghttp3_conn_bind_qpack_streams(session, encoder.id, decoder.id)
    flush()
  }

  /// Ends the tunnel; the connection is the owner's.
  func close() {
    delegate = nil
    state = .over
    for stream in streams { stream.delegate = nil }
    request?.close()
    request = nil
    streams = []
  }

  /// The peer has opened a stream.
  func accepted(_ stream: QUICStream) { _ = open(stream) }

  private func openUnidirectional() throws(Failure) -> QUICStream {
    guard let stream = try connection.openUnidirectionalStream() else {
      throw Failure(ErrorCode.proxy, "it allows no streams of HTTP/3")
    }
    return open(stream)
  }

  private func open(_ stream: QUICStream) -> QUICStream {
    streams.append(stream)
    stream.delegate = self
    stream.readStart()
    return stream
  }

  private static func of(_ data: UnsafeMutableRawPointer?) -> HTTP3Tunnel? {
    data.map { Unmanaged<HTTP3Tunnel>.fromOpaque($0).takeUnretainedValue() }
  }

  private static func failure(_ status: Int32, _ attempt: String) -> Failure {
    let reason = nghttp3_strerror(status).map { String(cString: $0) } ?? "unknown reason"
    return Failure(ErrorCode.proxy, "\(attempt): \(reason)")
  }

  // MARK: Sending

  private func flush() {
    guard let session else { return }
    withUnsafeTemporaryAllocation(of: nghttp3_vec.self, capacity: 8) { pieces in
      while state != .over {
        var id: Int64 = -1
        var end: Int32 = 0
        let count = nghttp3_conn_writev_stream(session, &id, &end, pieces.baseAddress, pieces.count)
        guard count >= 0 else { return fail(Self.failure(Int32(count), "HTTP/3 to the proxy")) }
        guard id >= 0, let stream = streams.first(where: { $0.id == id }) else { return }
        var written = 0
        for piece in pieces.prefix(Int(count)) {
          write(UnsafeRawBufferPointer(start: piece.base, count: piece.len), to: stream)
          written += piece.len
        }
        if end != 0 { stream.shutdown() }
        _ = nghttp3_conn_add_write_offset(session, id, written)
        _ = nghttp3_conn_add_ack_offset(session, id, UInt64(written))
      }
    }
  }

  private func write(_ bytes: UnsafeRawBufferPointer, to stream: QUICStream) {
    guard stream.id == controlStream, !isIntroduced else { return stream.write(bytes) }
    isIntroduced = true
    if let amended = HTTP3Settings.enablingDatagrams(bytes) {
      stream.write(amended)
    } else {
      stream.write(bytes)
    }
  }

  private func ask() {
    guard let session, state == .awaitsSettings else { return }
    state = .asking
    do throws(Failure) {
      guard let opened = try connection.openStream() else {
        throw Failure(ErrorCode.proxy, "it allows no request")
      }
      let stream = open(opened)
      request = stream
      // The stream stays open for what may follow; nothing does.
      var reader = nghttp3_data_reader { _, _, _, _, _, _, _ in nghttp3_ssize(NGHTTP3_ERR_WOULDBLOCK) }
      let status = Self.withFields(fields) { list, count in
        nghttp3_conn_submit_request(session, stream.id, list, count, &reader, nil)
      }
      guard status == 0 else { throw Self.failure(status, "ask the proxy") }
      flush()
    } catch {
      fail(error)
    }
  }

  private static func withFields(
    _ fields: [(name: String, value: String)], _ body: (UnsafePointer<nghttp3_nv>?, Int) -> Int32
  ) -> Int32 {
    var text: [UInt8] = []
    for field in fields { text += Array(field.name.utf8) + Array(field.value.utf8) }
    return text.withUnsafeMutableBufferPointer { text in
      guard let base = text.baseAddress else { return body(nil, 0) }
      var start = 0
      let list = fields.map { field in
        let (name, value) = (field.name.utf8.count, field.value.utf8.count)
        defer { start += name + value }
        return nghttp3_nv(
          name: base + start, value: base + start + name, namelen: name, valuelen: value,
          flags: UInt8(NGHTTP3_NV_FLAG_NONE))
      }
      return list.withUnsafeBufferPointer { body($0.baseAddress, $0.count) }
    }
  }

  // MARK: Receiving

  func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {
    guard let stream = channel as? QUICStream else { return }
    lookForSettings(stream, bytes)
    read(stream, bytes, end: false)
  }

  func channelReceivedEnd(_ channel: ByteChannel) {
    guard let stream = channel as? QUICStream else { return }
    read(stream, UnsafeRawBufferPointer(start: nil, count: 0), end: true)
    guard stream === request, state != .over else { return }
    fail(Failure(ErrorCode.proxy, "the proxy has ended the tunnel"))
  }

  func channelDrained(_ channel: ByteChannel) {}

  func channel(_ channel: ByteChannel, failed failure: Failure) { fail(failure) }

  private func read(_ stream: QUICStream, _ bytes: UnsafeRawBufferPointer, end: Bool) {
    guard let session, state != .over else { return }
    let taken = nghttp3_conn_read_stream(
      session, stream.id, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count, end ? 1 : 0)
    guard taken >= 0 else { return fail(Self.failure(Int32(taken), "HTTP/3 from the proxy")) }
    // Noted inside nghttp3's callbacks, told outside of them: whoever hears it may end all of this.
    if let failure { return fail(failure) }
    flush()
  }

  private func lookForSettings(_ stream: QUICStream, _ bytes: UnsafeRawBufferPointer) {
    guard state == .awaitsSettings, stream.isUnidirectional else { return }
    let beginning = beginnings[stream.id, default: []] + Array(bytes)
    switch beginning.withUnsafeBytes({ HTTP3Settings.read($0) }) {
    case .incomplete:
      beginnings[stream.id] = beginning
    case .absent:
      beginnings[stream.id] = []
    case .settings(let settings):
      beginnings = [:]
      guard settings.enablesConnectProtocol, settings.enablesDatagrams else {
        let missing = settings.enablesConnectProtocol ? "HTTP datagrams" : "extended CONNECT"
        return fail(Failure(ErrorCode.proxy, "it does not carry UDP: its HTTP/3 settings lack \(missing)"))
      }
      ask()
    }
  }

  private func received(_ name: OpaquePointer?, _ value: OpaquePointer?) {
    let name = nghttp3_rcbuf_get_buf(name)
    guard UnsafeRawBufferPointer(start: name.base, count: name.len).elementsEqual(":status".utf8) else { return }
    let value = nghttp3_rcbuf_get_buf(value)
    let digits = UnsafeRawBufferPointer(start: value.base, count: value.len)
    guard digits.count == 3, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return }
    status = digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
  }

  private func answered() {
    // Interim answers precede the one that counts.
    guard state == .asking, !(100..<200).contains(status) else { return }
    guard (200..<300).contains(status) else {
      failure = Failure(ErrorCode.proxy, "CONNECT-UDP failed with \(status)")
      return
    }
    state = .open
    delegate?.tunnelOpened()
  }

  private func receivedBody(_ bytes: UnsafeRawBufferPointer) {
    if state == .open { delegate?.tunnelReceived(bytes) }
  }

  private func fail(_ failure: Failure) {
    guard state != .over else { return }
    let listener = delegate
    close()
    listener?.tunnelFailed(failure)
  }
}
