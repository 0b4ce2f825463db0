// SPDX-License-Identifier: Apache-2.0
import CRstream
import Glibc
import RstreamClient
import RstreamNet

/// What a `rstream_stream *` points to.
final class StreamHandle: Handle {
  private let stream: Stream
  private lazy var lentPeer = StableString(stream.peer)
  private lazy var lentID = StableString(stream.id)

  init(_ stream: Stream, below client: ClientHandle) {
    self.stream = stream
    super.init(client.loop, below: client)
    stream.onWritten = { [self] token, failure in written(token, failure) }
  }

  override var closedCode: Int32 { ErrorCode.streamClosed }

  override func closeBelow(_ done: @escaping () -> Void) throws(Failure) { try stream.close(done) }

  override func ended() { stream.onWritten = nil }

  func reset(_ cb: rstream_close_cb?, _ data: UnsafeMutableRawPointer?) -> Int32 {
    close(cb, data) { [stream] (done) throws(Failure) in try stream.reset(done) }
  }

  /// The address of the remote end; lent.
  var peer: UnsafePointer<CChar>? { lentPeer.pointer }

  /// The id the engine knows the stream by; lent.
  var id: UnsafePointer<CChar>? { lentID.pointer }

  var queuedBytes: Int { stream.queuedBytes }

  // MARK: Reading

  func readStart(_ cb: @escaping rstream_read_cb, _ data: UnsafeMutableRawPointer?) throws(Failure) {
    try stream.readStart { [self] bytes, failure in
      // A handle that is closed while its client closes ends with that, and hears no more; its writes are still answered.
      guard state == .open else { return }
      if let failure {
        failure.lend { cb(pointer, nil, 0, $0, data) }
      } else {
        cb(pointer, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count, nil, data)
      }
    }
  }

  func readStop() throws(Failure) { try stream.readStop() }

  // MARK: Writing

  func write(_ buffers: UnsafeBufferPointer<rstream_buf>, _ token: Stream.WriteToken?) throws(Failure) {
    var total = 0
    for buffer in buffers {
      guard buffer.base != nil || buffer.len == 0 else { throw invalid("a buffer's base is NULL") }
      // A len that is not an Int is one that exceeds every limit.
      let sum = total.addingReportingOverflow(buffer.len)
      guard buffer.len >= 0, !sum.overflow else {
        throw Failure(-ENOBUFS, "write: the buffers hold more than may wait to be sent")
      }
      total = sum.partialValue
    }
    try stream.checkWritable(total)
    if buffers.count > 1, total <= Loop.chunkSize {
      // What is small goes out as one record.
      let gathered = loop.takeScratch()
      defer { loop.giveBackScratch(gathered) }
      var count = 0
      for buffer in buffers where buffer.len > 0 {
        UnsafeMutableRawBufferPointer(rebasing: gathered[count...]).copyMemory(from: bytes(of: buffer))
        count += buffer.len
      }
      return try stream.write(UnsafeRawBufferPointer(rebasing: gathered[..<count]), token)
    }
    for buffer in buffers.dropLast() { try stream.write(bytes(of: buffer)) }
    try stream.write(bytes(of: buffers.last ?? rstream_buf()), token)
  }

  func shutdown(_ token: Stream.WriteToken?) throws(Failure) { try stream.shutdown(token) }

  private func bytes(of buffer: rstream_buf) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: buffer.base, count: buffer.len)
  }

  static func token(_ cb: rstream_write_cb?, _ data: UnsafeMutableRawPointer?) -> Stream.WriteToken? {
    cb.map { Stream.WriteToken(function: unsafeBitCast($0, to: UnsafeRawPointer.self), data: data) }
  }

  private func written(_ token: Stream.WriteToken, _ failure: Failure?) {
    guard let cb = unsafeBitCast(token.function, to: rstream_write_cb?.self) else { return }
    if let failure {
      failure.lend { cb(pointer, $0, token.data) }
    } else {
      cb(pointer, nil, token.data)
    }
  }

  // MARK: Becoming a descriptor

  func intoDescriptor() throws(Failure) -> Int32 {
    let descriptor = try stream.intoDescriptor()
    dissolve()
    return descriptor
  }
}

@_cdecl("rstream_stream_read_start") @implementation
public func rstream_stream_read_start(
  _ stream: OpaquePointer?, _ cb: rstream_read_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  attempt { () throws(Failure) in
    let stream = try StreamHandle.given(stream, "stream")
    guard let cb else { throw invalid("cb is NULL") }
    try stream.check("stream")
    try stream.readStart(cb, data)
  }
}

@_cdecl("rstream_stream_read_stop") @implementation
public func rstream_stream_read_stop(_ stream: OpaquePointer?) -> Int32 {
  attempt { () throws(Failure) in
    let stream = try StreamHandle.given(stream, "stream")
    try stream.check("stream")
    try stream.readStop()
  }
}

@_cdecl("rstream_stream_write") @implementation
public func rstream_stream_write(
  _ stream: OpaquePointer?, _ bufs: UnsafePointer<rstream_buf>?, _ n: Int, _ cb: rstream_write_cb?,
  _ data: UnsafeMutableRawPointer?
) -> Int32 {
  attempt { () throws(Failure) in
    let stream = try StreamHandle.given(stream, "stream")
    guard n >= 0, bufs != nil || n == 0 else { throw invalid("bufs is NULL") }
    try stream.check("stream")
    try stream.write(UnsafeBufferPointer(start: bufs, count: n), StreamHandle.token(cb, data))
  }
}

@_cdecl("rstream_stream_write_queue_size") @implementation
public func rstream_stream_write_queue_size(_ stream: OpaquePointer?) -> Int {
  guard let stream = StreamHandle.at(stream), stream.loop.isOnLoopThread else { return 0 }
  return stream.queuedBytes
}

@_cdecl("rstream_stream_shutdown") @implementation
public func rstream_stream_shutdown(
  _ stream: OpaquePointer?, _ cb: rstream_write_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  attempt { () throws(Failure) in
    let stream = try StreamHandle.given(stream, "stream")
    try stream.check("stream")
    try stream.shutdown(StreamHandle.token(cb, data))
  }
}

@_cdecl("rstream_stream_peer") @implementation
public func rstream_stream_peer(_ stream: OpaquePointer?) -> UnsafePointer<CChar>? { StreamHandle.at(stream)?.peer }

@_cdecl("rstream_stream_id") @implementation
public func rstream_stream_id(_ stream: OpaquePointer?) -> UnsafePointer<CChar>? { StreamHandle.at(stream)?.id }

@_cdecl("rstream_stream_into_fd") @implementation
public func rstream_stream_into_fd(_ stream: OpaquePointer?, _ fd: UnsafeMutablePointer<Int32>?) -> Int32 {
  attempt { () throws(Failure) in
    let stream = try StreamHandle.given(stream, "stream")
    guard let fd else { throw invalid("fd is NULL") }
    try stream.check("stream")
    fd.pointee = try stream.intoDescriptor()
  }
}

@_cdecl("rstream_stream_close") @implementation
public func rstream_stream_close(
  _ stream: OpaquePointer?, _ cb: rstream_close_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  StreamHandle.at(stream)?.close(cb, data) ?? -EINVAL
}

@_cdecl("rstream_stream_reset") @implementation
public func rstream_stream_reset(
  _ stream: OpaquePointer?, _ cb: rstream_close_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  StreamHandle.at(stream)?.reset(cb, data) ?? -EINVAL
}
