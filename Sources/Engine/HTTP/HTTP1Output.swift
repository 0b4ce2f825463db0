// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// What one event writes to an HTTP/1 connection: head, framing and small pieces of body leave together, as one TLS record
/// and one packet where they fit; large pieces of body are passed on without being copied.
///
/// The memory is the loop's and is held from the first write to the next flush, which comes before the event ends.
final class HTTP1Output {
  /// From here on copying costs more than a write of its own.
  private static let largePiece = 8192

  private let channel: ByteChannel
  private var buffer: UnsafeMutableRawBufferPointer?
  private var filled = 0
  /// Reused for the framing around chunks.
  private var framing: [UInt8] = []

  init(_ channel: ByteChannel) { self.channel = channel }

  deinit { drop() }

  func write(_ bytes: [UInt8]) { bytes.withUnsafeBytes { write($0) } }

  func write(_ bytes: UnsafeRawBufferPointer) {
    if filled == 0, bytes.count >= Self.largePiece { return channel.write(bytes) }
    append(bytes)
  }

  /// Writes a chunk of a chunked body.
  func writeChunk(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count > 0 else { return }
    framing.removeAll(keepingCapacity: true)
    HTTP1Serializer.appendChunkStart(bytes.count, to: &framing)
    framing.withUnsafeBytes { append($0) }
    append(bytes)
    HTTP1Serializer.chunkEnd.withUnsafeBytes { append($0) }
  }

  func writeLastChunk(_ trailers: HTTPHeaders) {
    framing.removeAll(keepingCapacity: true)
    HTTP1Serializer.appendLastChunk(trailers: trailers, to: &framing)
    framing.withUnsafeBytes { append($0) }
  }

  private func append(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count > 0 else { return }
    var buffer = self.buffer ?? channel.loop.takeScratch()
    self.buffer = buffer
    if bytes.count > buffer.count - filled {
      if filled > 0 { channel.write(UnsafeRawBufferPointer(rebasing: buffer[..<filled])) }
      filled = 0
      if bytes.count > buffer.count { return channel.write(bytes) }
    }
    buffer = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
    buffer.copyMemory(from: bytes)
    filled += bytes.count
  }

  func flush() {
    guard let buffer else { return }
    if filled > 0 { channel.write(UnsafeRawBufferPointer(rebasing: buffer[..<filled])) }
    drop()
  }

  /// Forgets what was not flushed.
  func drop() {
    guard let buffer else { return }
    self.buffer = nil
    filled = 0
    channel.loop.giveBackScratch(buffer)
  }
}
