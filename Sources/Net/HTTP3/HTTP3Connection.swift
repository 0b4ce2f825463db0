// SPDX-License-Identifier: Apache-2.0
import CHTTP3

/// Codes of RFC 9114, section 8.1.
public enum HTTP3Code {
  public static let noError: UInt64 = 0x100
  public static let internalError: UInt64 = 0x102
  static let streamCreationError: UInt64 = 0x103
  public static let excessiveLoad: UInt64 = 0x107
  public static let requestRejected: UInt64 = 0x10B
  public static let requestCancelled: UInt64 = 0x10C
  public static let messageError: UInt64 = 0x10E
}

/// What a connection of HTTP/3 tells. May be called from inside of a call to it.
public protocol HTTP3ConnectionDelegate: AnyObject {
  /// The peer's SETTINGS have come.
  func http3(_ connection: HTTP3Connection, learned settings: HTTP3Settings)
  /// A client begins a request: its stream has no delegate yet.
  func http3(_ connection: HTTP3Connection, began stream: HTTP3Stream)
  /// A stream is over, both directions of it.
  func http3(_ connection: HTTP3Connection, ended stream: HTTP3Stream)
  /// HTTP/3 cannot go on; the QUIC connection is to be closed with this code.
  func http3(_ connection: HTTP3Connection, failed failure: Failure, code: UInt64)
}

/// One end of HTTP/3 (RFC 9114) on a QUIC connection. Frames and QPACK are nghttp3's; their bytes travel in the connection's
/// streams, which keep what is not acknowledged themselves.
public final class HTTP3Connection: ByteChannelDelegate {
  public static let alpn = "h3"
  /// The peer's control stream and QPACK streams, and some of kinds that nobody knows (RFC 9114, section 6.2).
  private static let peerStreams: UInt64 = 8
  /// Some more of those, one after the other.
  private static let keptStreams = 64

  public let quic: QUICConnection
  public weak var delegate: (any HTTP3ConnectionDelegate)?
  private(set) var session: OpaquePointer?
  private let enablesDatagrams: Bool
  private var messages: [Int64: HTTP3Stream] = [:]
  /// Of both ends.
  private var unidirectional: [QUICStream] = []
  private var controlStream: Int64 = -1
  /// The own control stream has begun.
  private var isIntroduced = false
  /// Beginnings of the peer's streams until its SETTINGS are found, nil for those that have none; nil altogether from then on.
  private var beginnings: [Int64: [UInt8]?]? = [:]
  private var finished: [HTTP3Stream] = []
  /// In calls into nghttp3, which are not nested.
  private var isBusy = false
  private var isFlushing = false
  private var isOver = false

  /// Lets the peer open the streams that HTTP/3 needs beside requests.
  public static func admitStreams(_ settings: inout QUICSettings) {
    settings.unidirectionalStreams = peerStreams
    settings.keptStreams = keptStreams
  }

  /// - Parameter enablesDatagrams: tells the peer that HTTP datagrams are understood (RFC 9297)
  public init(_ quic: QUICConnection, enablesDatagrams: Bool = false) {
    self.quic = quic
    self.enablesDatagrams = enablesDatagrams
  }

  deinit {
    if let session { nghttp3_conn_del(session) }
  }

  public func start() throws(Failure) {
    var callbacks = Self.callbacks
    var session: OpaquePointer?
    let status = rstream_http3_new(
      &session, quic.isServer ? 1 : 0, Int(HTTP3Fields.sizeLimit), enablesDatagrams ? 1 : 0, &callbacks,
      Unmanaged.passUnretained(self).toOpaque())
    guard status == 0, let session else { throw Self.failure(status) }
    self.session = session
    let control = try openUnidirectional()
    let encoder = try openUnidirectional()
    let decoder = try openUnidirectional()
    controlStream = control.id
    _ = nghttp3_conn_bind_control_stream(session, control.id)
    _ = nghttp3_conn_bind_qpack_streams(session, encoder.id, decoder.id)
    flush()
  }

  /// The peer has opened a stream.
  public func accepted(_ stream: QUICStream) {
    if stream.isUnidirectional {
      unidirectional.append(stream)
    } else if quic.isServer, !isOver {
      delegate?.http3(self, began: add(stream))
    } else {
      return stream.reset(code: HTTP3Code.streamCreationError)
    }
    stream.delegate = self
    stream.readStart()
  }

  /// Opens a stream for a request; nil when the server allows none at the moment.
  public func openRequest() throws(Failure) -> HTTP3Stream? {
    guard let stream = try quic.openStream() else { return nil }
    stream.delegate = self
    stream.readStart()
    return add(stream)
  }

  /// Takes no new requests: GOAWAY (RFC 9114, section 5.2).
  public func shutdown() {
    guard let session, !isOver else { return }
    _ = nghttp3_conn_shutdown(session)
    wantsToFlush()
  }

  public var hasRequests: Bool { !messages.isEmpty }

  /// Ends all streams; the QUIC connection is the owner's.
  public func close(_ failure: Failure? = nil) {
    guard !isOver else { return }
    isOver = true
    for stream in unidirectional { stream.delegate = nil }
    unidirectional = []
    let open = messages.values
    messages = [:]
    for stream in open {
      let listener = stream.delegate
      stream.delegate = nil
      stream.quic.close()
      if let failure { listener?.http3(stream, failed: failure) }
      delegate?.http3(self, ended: stream)
    }
  }

  func stream(_ id: Int64) -> HTTP3Stream? { messages[id] }

  private func add(_ quic: QUICStream) -> HTTP3Stream {
    let stream = HTTP3Stream(quic, self)
    messages[quic.id] = stream
    return stream
  }

  private func openUnidirectional() throws(Failure) -> QUICStream {
    guard let stream = try quic.openUnidirectionalStream() else {
      throw Failure(ErrorCode.protocolViolation, "HTTP/3: the peer allows no streams for it")
    }
    unidirectional.append(stream)
    stream.delegate = self
    return stream
  }

  static func failure(_ status: Int32) -> Failure {
    let reason = nghttp3_strerror(status).map { String(cString: $0) } ?? "unknown reason"
    return Failure(ErrorCode.protocolViolation, "HTTP/3: \(reason)")
  }

  func fail(_ status: Int32) {
    guard !isOver else { return }
    let failure = Self.failure(status)
    close(failure)
    delegate?.http3(self, failed: failure, code: nghttp3_err_infer_quic_app_error_code(status))
  }

  // MARK: Sending

  func resume(_ stream: HTTP3Stream) {
    guard let session, !isOver else { return }
    _ = nghttp3_conn_resume_stream(session, stream.id)
    wantsToFlush()
  }

  /// At the end of the event.
  func wantsToFlush() {
    guard !isFlushing, !isBusy else { return }
    isFlushing = true
    quic.loop.later { [self] in
      isFlushing = false
      flush()
    }
  }

  private func flush() {
    guard let session, !isOver, !isBusy else { return }
    isBusy = true
    let status = withUnsafeTemporaryAllocation(of: nghttp3_vec.self, capacity: 8) { write(session, $0) }
    isBusy = false
    if status < 0 { return fail(status) }
    forgetFinished()
  }

  private func write(_ session: OpaquePointer, _ pieces: UnsafeMutableBufferPointer<nghttp3_vec>) -> Int32 {
    while true {
      var id: Int64 = -1
      var end: Int32 = 0
      let count = nghttp3_conn_writev_stream(session, &id, &end, pieces.baseAddress, pieces.count)
      guard count >= 0, id >= 0 else { return Int32(count) }
      guard let stream = messages[id]?.quic ?? unidirectional.first(where: { $0.id == id }) else {
        nghttp3_conn_block_stream(session, id)
        continue
      }
      var written = 0
      for piece in pieces.prefix(Int(count)) {
        write(UnsafeRawBufferPointer(start: piece.base, count: piece.len), to: stream)
        written += piece.len
      }
      // The stream has copied them, and sees to it that they arrive.
      var status = nghttp3_conn_add_write_offset(session, id, written)
      if status == 0 { status = nghttp3_conn_add_ack_offset(session, id, UInt64(written)) }
      guard status == 0 else { return status }
      guard let message = messages[id] else { continue }
      if end != 0 {
        message.hasSentEnd = true
        stream.shutdown()
        if stream.queuedBytes == 0 { finished.append(message) }
        continue
      }
      if stream.queuedBytes > ByteChannel.highWater {
        message.isBlocked = true
        nghttp3_conn_block_stream(session, id)
      }
      if message.hasMore { _ = nghttp3_conn_resume_stream(session, id) }
    }
  }

  private func write(_ bytes: UnsafeRawBufferPointer, to stream: QUICStream) {
    guard stream.id == controlStream, !isIntroduced else { return stream.write(bytes) }
    isIntroduced = true
    if enablesDatagrams, let amended = HTTP3Settings.enablingDatagrams(bytes) {
      stream.write(amended)
    } else {
      stream.write(bytes)
    }
  }

  public func channelDrained(_ channel: ByteChannel) {
    guard let session, !isOver, let stream = message(channel) else { return }
    if stream.isBlocked {
      stream.isBlocked = false
      _ = nghttp3_conn_unblock_stream(session, stream.id)
      flush()
    }
    if stream.hasSentEnd, stream.quic.queuedBytes == 0 {
      finished.append(stream)
      return forgetFinished()
    }
    if stream.queuedBytes == 0 { stream.delegate?.http3Drained(stream) }
  }

  // MARK: Receiving

  public func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {
    guard let stream = channel as? QUICStream else { return }
    if stream.isUnidirectional { lookForSettings(stream, bytes) }
    // Told together, so that it is known of a header section whether a body follows.
    read(stream, bytes, end: stream.deliversLast && !stream.isUnidirectional)
  }

  public func channelReceivedEnd(_ channel: ByteChannel) {
    guard let stream = channel as? QUICStream, !stream.deliversLast || stream.isUnidirectional else { return }
    read(stream, UnsafeRawBufferPointer(start: nil, count: 0), end: true)
    if stream.isUnidirectional { unidirectional.removeAll { $0 === stream } }
  }

  public func channel(_ channel: ByteChannel, failed failure: Failure) {
    guard let session, !isOver, let stream = channel as? QUICStream else { return }
    // No stream has failed by itself then.
    guard !quic.isEnded else { return close(failure) }
    let status = nghttp3_conn_close_stream(session, stream.id, HTTP3Code.requestCancelled)
    if stream.isUnidirectional {
      unidirectional.removeAll { $0 === stream }
      // Without one of the streams that hold the rest together there is no HTTP/3.
      if status != 0, status != NGHTTP3_ERR_STREAM_NOT_FOUND { fail(status) }
    } else if let message = messages.removeValue(forKey: stream.id) {
      let listener = message.delegate
      message.delegate = nil
      listener?.http3(message, failed: failure)
      delegate?.http3(self, ended: message)
    }
  }

  private func message(_ channel: ByteChannel) -> HTTP3Stream? { (channel as? QUICStream).flatMap { messages[$0.id] } }

  private func read(_ stream: QUICStream, _ bytes: UnsafeRawBufferPointer, end: Bool) {
    guard let session, !isOver else { return }
    isBusy = true
    let taken = nghttp3_conn_read_stream(
      session, stream.id, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count, end ? 1 : 0)
    isBusy = false
    if taken < 0 {
      // A message that is not in order says nothing of the others.
      guard taken == NGHTTP3_ERR_MALFORMED_HTTP_MESSAGING, let message = messages[stream.id] else {
        return fail(Int32(taken))
      }
      message.refuse(HTTP3Code.messageError)
    }
    if let message = messages[stream.id] { message.delegate?.http3ReceivedAll(message) }
    flush()
  }

  private func lookForSettings(_ stream: QUICStream, _ bytes: UnsafeRawBufferPointer) {
    guard let known = beginnings else { return }
    guard let read = known[stream.id, default: []] else { return }
    let beginning = read + Array(bytes)
    switch beginning.withUnsafeBytes({ HTTP3Settings.read($0) }) {
    case .incomplete:
      beginnings?[stream.id] = beginning
    case .absent:
      beginnings?[stream.id] = .some(nil)
    case .settings(let settings):
      beginnings = nil
      delegate?.http3(self, learned: settings)
    }
  }

  // MARK: Ending streams

  func reset(_ stream: HTTP3Stream, _ code: UInt64) {
    guard messages[stream.id] === stream else { return }
    stream.quic.reset(code: code)
    finished.append(stream)
    if !isBusy { quic.loop.later { [self] in forgetFinished() } }
  }

  /// Streams whose own direction is over: nothing of what the peer may still send is wanted.
  private func forgetFinished() {
    while let stream = finished.popLast() {
      guard let session, !isOver, messages[stream.id] === stream else { continue }
      if !quic.isServer, !stream.hasReceivedEnd, !stream.quic.isClosed { continue }
      messages[stream.id] = nil
      stream.delegate = nil
      if !stream.hasReceivedEnd { stream.quic.stopReading(code: HTTP3Code.noError) }
      stream.quic.delegate = nil
      stream.quic.close()
      _ = nghttp3_conn_close_stream(session, stream.id, HTTP3Code.noError)
      delegate?.http3(self, ended: stream)
    }
  }

  // MARK: What nghttp3 calls

  static func of(_ user: UnsafeMutableRawPointer?) -> HTTP3Connection? {
    user.map { Unmanaged<HTTP3Connection>.fromOpaque($0).takeUnretainedValue() }
  }

  private static let callbacks: nghttp3_callbacks = {
    var table = nghttp3_callbacks()
    table.acked_stream_data = { _, id, count, user, _ in
      HTTP3Connection.of(user)?.stream(id)?.released(Int(clamping: count))
      return 0
    }
    table.begin_headers = { _, id, user, _ in
      HTTP3Connection.of(user)?.stream(id)?.arriving = HTTP3Fields()
      return 0
    }
    table.begin_trailers = table.begin_headers
    table.recv_header = { _, id, _, name, value, _, user, _ in
      let (name, value) = (nghttp3_rcbuf_get_buf(name), nghttp3_rcbuf_get_buf(value))
      HTTP3Connection.of(user)?.stream(id)?.arriving.append(
        UnsafeRawBufferPointer(start: name.base, count: name.len),
        UnsafeRawBufferPointer(start: value.base, count: value.len))
      return 0
    }
    table.recv_trailer = table.recv_header
    table.end_headers = { _, id, isLast, user, _ in
      guard let stream = HTTP3Connection.of(user)?.stream(id) else { return 0 }
      stream.arriving.isAll = isLast != 0
      stream.tellFields(isTrailer: false)
      return 0
    }
    table.end_trailers = { _, id, _, user, _ in
      HTTP3Connection.of(user)?.stream(id)?.tellFields(isTrailer: true)
      return 0
    }
    table.recv_data = { _, id, bytes, count, user, _ in
      guard let stream = HTTP3Connection.of(user)?.stream(id) else { return 0 }
      stream.delegate?.http3(stream, receivedBody: UnsafeRawBufferPointer(start: bytes, count: count))
      return 0
    }
    table.end_stream = { _, id, user, _ in
      guard let connection = HTTP3Connection.of(user), let stream = connection.stream(id) else { return 0 }
      stream.hasReceivedEnd = true
      if stream.hasSentEnd, stream.quic.queuedBytes == 0 { connection.finished.append(stream) }
      stream.delegate?.http3ReceivedEnd(stream)
      return 0
    }
    table.stop_sending = { _, id, code, user, _ in
      HTTP3Connection.of(user)?.stream(id)?.quic.stopReading(code: code)
      return 0
    }
    table.reset_stream = { _, id, code, user, _ in
      HTTP3Connection.of(user)?.stream(id)?.refuse(code)
      return 0
    }
    return table
  }()
}

extension HTTP3Stream {
  /// What is no HTTP is not worth an answer of its own.
  fileprivate func refuse(_ code: UInt64) {
    let listener = delegate
    reset(code: code)
    listener?.http3(self, failed: Failure(ErrorCode.protocolViolation, "HTTP/3: the peer's message is malformed"))
  }

  fileprivate func tellFields(isTrailer: Bool) {
    let fields = arriving
    arriving = HTTP3Fields()
    delegate?.http3(self, received: fields, isTrailer: isTrailer)
  }
}
