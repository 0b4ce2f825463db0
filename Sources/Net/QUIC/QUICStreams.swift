// SPDX-License-Identifier: Apache-2.0
import CQUIC
import CUV

/// The streams of a connection: opening, credit, ending.
extension QUICConnection {
  /// Openings that may wait for the peer to allow more streams.
  private static let openingLimit = 1024

  /// Opens a stream, or waits until the peer allows one more. The completion is not called inside this call.
  @discardableResult
  public func openStream(_ done: @escaping (Result<QUICStream, Failure>) -> Void) -> QUICStreamOpening {
    let opening = QUICStreamOpening(self, done)
    guard openings.count < Self.openingLimit else {
      let failure = Failure(-ENOBUFS, "open a QUIC stream: \(Self.openingLimit) streams wait to be opened already")
      loop.later { opening.finish(.failure(failure)) }
      return opening
    }
    openings.append(opening)
    loop.later { [self] in openWaiting() }
    return opening
  }

  /// The peer allows more streams than it did.
  func mayOpenStreams() {
    guard !openings.isEmpty || onStreamCredit != nil else { return }
    loop.later { [weak self] in
      self?.openWaiting()
      self?.onStreamCredit?()
    }
  }

  func openWaiting() {
    guard !openings.isEmpty, depth == 0 else { return }
    while !openings.isEmpty {
      let result: Result<QUICStream, Failure>
      do throws(Failure) {
        guard let stream = try openStream() else { return }
        result = .success(stream)
      } catch {
        result = .failure(error)
      }
      openings.removeFirst().finish(result)
    }
  }

  /// Opens a stream at once; nil when the peer allows no more at the moment.
  public func openStream() throws(Failure) -> QUICStream? {
    guard let raw, isOpen else {
      throw Failure(UV_ECONNRESET.rawValue, "open a QUIC stream: the connection has ended")
    }
    var id: Int64 = -1
    let status = ngtcp2_conn_open_bidi_stream(raw, &id, nil)
    if status == NGTCP2_ERR_STREAM_ID_BLOCKED { return nil }
    guard status == 0 else { throw Self.failure(status, "open a QUIC stream") }
    return add(id)
  }

  /// Opens a stream that only this side writes to; nil when the peer allows no more at the moment.
  public func openUnidirectionalStream() throws(Failure) -> QUICStream? {
    guard let raw, isOpen else {
      throw Failure(UV_ECONNRESET.rawValue, "open a QUIC stream: the connection has ended")
    }
    var id: Int64 = -1
    let status = ngtcp2_conn_open_uni_stream(raw, &id, nil)
    if status == NGTCP2_ERR_STREAM_ID_BLOCKED { return nil }
    guard status == 0 else { throw Self.failure(status, "open a QUIC stream") }
    return add(id)
  }

  /// Whether there are streams that have not ended both ways, and whose owners have not closed them.
  public var hasStreams: Bool { streams.contains { stream in stream.map { !$0.isClosed } ?? false } }

  private func add(_ id: Int64) -> QUICStream {
    let stream = QUICStream(self, id: id)
    if let slot = freeSlots.popLast() {
      stream.slot = slot
      streams[slot] = stream
    } else {
      stream.slot = streams.count
      streams.append(stream)
    }
    if let raw { ngtcp2_conn_set_stream_user_data(raw, id, Unmanaged.passUnretained(stream).toOpaque()) }
    return stream
  }

  func peerOpened(_ id: Int64) {
    let stream = add(id)
    if let delegate, !isFinishing { delegate.connection(self, opened: stream) } else { stream.reset() }
  }

  func streamClosed(_ id: Int64, _ stream: QUICStream?) {
    if let raw, ngtcp2_conn_is_local_stream(raw, id) == 0 {
      if ngtcp2_is_bidi_stream(id) != 0 {
        ngtcp2_conn_extend_max_streams_bidi(raw, 1)
      } else if stream != nil {
        ngtcp2_conn_extend_max_streams_uni(raw, 1)
      } else {
        keptUnidirectional -= 1
      }
    }
    guard let stream else { return }
    loop.gathering.deliver(of: stream)
    forget(stream)
  }

  /// A stream that only the peer writes to is over. ngtcp2 0.12 never says so, for it waits for the own FIN that there is
  /// not: what it keeps of the stream, about 200 bytes, is freed with the connection. Later versions say it at once, and keep
  /// nothing.
  func peerEnded(_ stream: QUICStream) {
    guard let raw, stream.slot != nil, stream.isUnidirectional, ngtcp2_conn_is_local_stream(raw, stream.id) == 0 else {
      return
    }
    ngtcp2_conn_set_stream_user_data(raw, stream.id, nil)
    keptUnidirectional += 1
    if keptUnidirectional < settings.keptStreams { ngtcp2_conn_extend_max_streams_uni(raw, 1) }
    forget(stream)
  }

  private func forget(_ stream: QUICStream) {
    if let slot = stream.slot {
      streams[slot] = nil
      freeSlots.append(slot)
    }
    unblock(stream)
    stream.finished()
    // Its owner may drop it inside of a call that it is in the middle of.
    loop.later { [self] in withExtendedLifetime(stream) { closeWhenFinished() } }
  }

  func failStreams(_ failure: Failure) {
    let all = streams
    streams = []
    freeSlots = []
    pending.removeAll()
    drained.removeAll()
    stopped.removeAll()
    blockedStreams = 0
    let waiting = openings
    openings = []
    for case let stream? in all {
      // The memory of what was sent belongs to ngtcp2 as long as the connection is there.
      stream.slot = nil
      retired.append(stream)
    }
    for case let stream? in all { stream.fail(failure) }
    for opening in waiting { opening.finish(.failure(failure)) }
  }

  // MARK: Writing

  func wantsToWrite(_ stream: QUICStream) {
    if stream.isBlocked { unblock(stream) }
    if !stream.isPending {
      stream.isPending = true
      pending.append(stream)
    }
    schedule()
  }

  func block(_ stream: QUICStream) {
    guard !stream.isBlocked else { return }
    stream.isBlocked = true
    blockedStreams += 1
  }

  private func unblock(_ stream: QUICStream) {
    guard stream.isBlocked else { return }
    stream.isBlocked = false
    blockedStreams -= 1
  }

  /// Looks whether peers of streams that wait for credit have stopped reading: ngtcp2 tells only who tries to write.
  func retryBlocked() {
    guard blockedStreams > 0 else { return }
    for case let stream? in streams where stream.isBlocked { wantsToWrite(stream) }
  }

  func resetStream(_ stream: QUICStream, _ code: UInt64) {
    guard let raw else { return }
    rstream_quic_shutdown_stream(raw, stream.id, code)
    schedule()
  }

  func stopSending(_ stream: QUICStream, _ code: UInt64) {
    guard let raw else { return }
    rstream_quic_shutdown_stream_write(raw, stream.id, code)
    // Out of the queue of those that have something to write.
    wantsToWrite(stream)
  }

  func stopReceiving(_ stream: QUICStream, _ code: UInt64) {
    guard let raw else { return }
    rstream_quic_shutdown_stream_read(raw, stream.id, code)
    schedule()
  }

  // MARK: Credit

  /// Bytes were taken by a stream's owner.
  func consumed(_ count: Int, of stream: QUICStream) {
    guard let raw, count > 0 else { return }
    extend(raw, stream, count)
    ngtcp2_conn_extend_max_offset(raw, UInt64(count))
  }

  /// Bytes are kept for an owner who does not read. The connection goes on for the others.
  func held(_ count: Int) {
    guard let raw, count > 0 else { return }
    heldBytes += count
    if heldBytes <= settings.heldLimit {
      ngtcp2_conn_extend_max_offset(raw, UInt64(count))
    } else {
      withheldCredit += count
    }
  }

  func consumedHeld(_ count: Int, of stream: QUICStream) {
    guard let raw, count > 0 else { return }
    heldBytes -= count
    let credit = min(count, withheldCredit)
    withheldCredit -= credit
    extend(raw, stream, count)
    if credit > 0 { ngtcp2_conn_extend_max_offset(raw, UInt64(credit)) }
    schedule()
  }

  private func extend(_ raw: OpaquePointer, _ stream: QUICStream, _ count: Int) {
    guard stream.slot != nil, !stream.isClosed else { return }
    ngtcp2_conn_extend_max_stream_offset(raw, stream.id, UInt64(count))
  }
}
