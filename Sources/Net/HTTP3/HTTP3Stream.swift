// SPDX-License-Identifier: Apache-2.0
import CHTTP3

/// What a stream of HTTP/3 messages tells. May be called from inside of a call to its connection.
public protocol HTTP3StreamDelegate: AnyObject {
  /// A header section: of an interim message, of the message itself, or after its body.
  func http3(_ stream: HTTP3Stream, received fields: HTTP3Fields, isTrailer: Bool)
  /// A part of the body, borrowed for the call.
  func http3(_ stream: HTTP3Stream, receivedBody bytes: UnsafeRawBufferPointer)
  /// The peer's message is complete.
  func http3ReceivedEnd(_ stream: HTTP3Stream)
  /// All that one event brought was told.
  func http3ReceivedAll(_ stream: HTTP3Stream)
  /// What was written has left.
  func http3Drained(_ stream: HTTP3Stream)
  /// The peer has broken off, or the connection has ended. Nothing is told after this.
  func http3(_ stream: HTTP3Stream, failed failure: Failure)
}

extension HTTP3StreamDelegate {
  public func http3ReceivedAll(_ stream: HTTP3Stream) {}
  public func http3Drained(_ stream: HTTP3Stream) {}
}

/// One request and its response (RFC 9114, section 4.1), seen from one end.
public final class HTTP3Stream {
  public weak var delegate: (any HTTP3StreamDelegate)?
  let quic: QUICStream
  private weak var connection: HTTP3Connection?
  /// So much is given to nghttp3 at once; the rest waits here until the QUIC stream has room.
  private static let pieceLimit = 65_536

  /// The body that is being sent; nghttp3 points into the first bytes of it.
  private var leaving = ByteQueue()
  private var lentBytes = 0
  private var waiting = ByteQueue()
  private var trailers: HTTP3FieldList?
  private var isComplete = false
  /// The own direction has left nghttp3 with its end, but maybe not the QUIC stream.
  var hasSentEnd = false
  var hasReceivedEnd = false
  var isBlocked = false
  var arriving = HTTP3Fields()

  init(_ quic: QUICStream, _ connection: HTTP3Connection) {
    self.quic = quic
    self.connection = connection
  }

  deinit {
    leaving.removeAll()
    waiting.removeAll()
  }

  public var id: Int64 { quic.id }
  public var queuedBytes: Int { leaving.count + waiting.count + quic.queuedBytes }

  /// Sends the head of a request. A body follows unless that is all.
  public func request(_ fields: HTTP3FieldList, isAll: Bool) {
    submit(fields, isAll) { nghttp3_conn_submit_request($0, $1, $2, $3, $4, nil) }
  }

  /// Sends the head of a response. A body follows unless that is all.
  public func respond(_ fields: HTTP3FieldList, isAll: Bool) {
    submit(fields, isAll) { nghttp3_conn_submit_response($0, $1, $2, $3, $4) }
  }

  /// Sends a response that precedes the final one.
  public func respondInterim(_ fields: HTTP3FieldList) {
    submit(fields, true) { session, id, list, count, _ in nghttp3_conn_submit_info(session, id, list, count) }
  }

  private func submit(
    _ fields: HTTP3FieldList, _ isAll: Bool,
    _ body: (
      OpaquePointer, Int64, UnsafePointer<nghttp3_nv>?, Int, UnsafePointer<nghttp3_data_reader>?
    ) -> Int32
  ) {
    guard let connection, let session = connection.session else { return }
    let status = withUnsafePointer(to: Self.reader) { reader in
      fields.lend { body(session, id, $0, $1, isAll ? nil : reader) }
    }
    if status == 0 { connection.wantsToFlush() } else { connection.fail(status) }
  }

  /// Sends a part of the body; the bytes are taken before the call returns.
  public func write(_ bytes: UnsafeRawBufferPointer) {
    guard !isComplete, bytes.count > 0 else { return }
    waiting.append(bytes)
    connection?.resume(self)
  }

  /// Ends the body.
  public func end(_ trailers: HTTP3FieldList? = nil) {
    guard !isComplete else { return }
    isComplete = true
    self.trailers = trailers
    connection?.resume(self)
  }

  /// Ends both directions at once.
  public func reset(code: UInt64) {
    delegate = nil
    connection?.reset(self, code)
  }

  public var isReading: Bool { quic.isReading }
  public func readStop() { quic.readStop() }
  public func readStart() { quic.readStart() }

  // MARK: What nghttp3 reads

  private static let reader = nghttp3_data_reader { _, id, pieces, room, flags, user, _ in
    guard let stream = HTTP3Connection.of(user)?.stream(id), let pieces, let flags, room > 0 else {
      return nghttp3_ssize(NGHTTP3_ERR_CALLBACK_FAILURE)
    }
    return stream.give(&pieces.pointee, &flags.pointee)
  }

  private func give(_ piece: inout nghttp3_vec, _ flags: inout UInt32) -> nghttp3_ssize {
    if leaving.isEmpty { swap(&leaving, &waiting) }
    guard lentBytes == 0, isComplete || !leaving.isEmpty else { return nghttp3_ssize(NGHTTP3_ERR_WOULDBLOCK) }
    let bytes = UnsafeRawBufferPointer(rebasing: leaving.bytes.prefix(Self.pieceLimit))
    if isComplete, bytes.count == leaving.count, waiting.isEmpty {
      flags |= UInt32(NGHTTP3_DATA_FLAG_EOF)
      if let trailers, let session = connection?.session {
        flags |= UInt32(NGHTTP3_DATA_FLAG_NO_END_STREAM)
        _ = trailers.lend { nghttp3_conn_submit_trailers(session, id, $0, $1) }
      }
    }
    guard !bytes.isEmpty else { return 0 }
    lentBytes = bytes.count
    piece.base = bytes.baseAddress.map { UnsafeMutableRawPointer(mutating: $0).assumingMemoryBound(to: UInt8.self) }
    piece.len = bytes.count
    return 1
  }

  /// nghttp3 needs so many bytes of what it was lent no more.
  func released(_ count: Int) {
    lentBytes -= count
    leaving.removeFirst(count)
  }

  /// Whether nghttp3 was told to wait, and need not any more.
  var hasMore: Bool { lentBytes == 0 && (isComplete ? !hasSentEnd : !leaving.isEmpty || !waiting.isEmpty) }
}
