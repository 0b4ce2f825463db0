// SPDX-License-Identifier: Apache-2.0

/// Takes frames out of a stream of bytes that arrives in pieces.
///
/// Append what arrived, then call `next` until it gives nil. Whoever stops after a handshake's frame gets the bytes
/// behind it from `takeRemainder`: they belong to the tunnel.
///
/// A reader holds at most `Frame.maximumSize` bytes and what one call appended, and no memory while it holds no bytes.
/// After an error every further `next` throws the same error: the stream has no frames any more.
public struct FrameReader: Sendable {
  private var buffer: [UInt8] = []
  /// Where in `buffer` the next frame begins.
  private var head = 0

  public init() {}

  /// True between frames: a stream that ends here ends cleanly.
  public var isEmpty: Bool { held == 0 }

  private var held: Int { buffer.count - head }

  // MARK: Messages

  /// Adds what arrived. Throws `FrameError.unread` when frames that were appended earlier have not been taken.
  public mutating func append(_ bytes: Span<UInt8>) throws(FrameError) {
    guard held < Frame.maximumSize else { throw .unread }
    store(bytes)
  }

  public mutating func append(_ bytes: [UInt8]) throws(FrameError) {
    try append(bytes.span)
  }

  /// The payload of the next frame; nil until the whole frame has arrived.
  public mutating func next() throws(FrameError) -> [UInt8]? {
    guard let frame = try Self.frame(in: buffer.span, at: head), frame.end <= buffer.count else { return nil }
    let payload = Array(buffer[frame.payload..<frame.end])
    head = frame.end
    if held == 0 { release() }
    return payload
  }

  /// The message in the next frame; nil until the whole frame has arrived.
  public mutating func nextMessage() throws -> Message? {
    guard let payload = try next() else { return nil }
    return try Message.decode(payload)
  }

  /// All bytes behind the last frame taken. The reader is empty afterwards.
  public mutating func takeRemainder() -> [UInt8] {
    let remainder = Array(buffer[head...])
    release()
    return remainder
  }

  // MARK: Packets

  /// Hands out each packet that `chunk` completes, borrowed: nothing is copied but a packet that is cut in two by the end
  /// of a chunk. `body` returns false to stop after its packet; then the rest of the chunk is held for the next call,
  /// which may bring an empty chunk, and the result is false. `body` must not use this reader.
  public mutating func packets(in chunk: Span<UInt8>, _ body: (Span<UInt8>) throws -> Bool) throws -> Bool {
    var offset = 0
    while held > 0 {
      let frame = try Self.frame(in: buffer.span, at: head)
      let wanted = frame?.end ?? head + Frame.headerSize
      if frame == nil || wanted > buffer.count {
        let taken = min(wanted - buffer.count, chunk.count - offset)
        guard taken > 0 else { return true }
        store(chunk.extracting(offset..<(offset + taken)))
        offset += taken
      } else if let frame {
        head = frame.end
        guard try body(buffer.span.extracting(frame.payload..<frame.end)) else {
          store(chunk.extracting(offset..<chunk.count))
          return false
        }
      }
    }
    while let frame = try Self.frame(in: chunk, at: offset), frame.end <= chunk.count {
      offset = frame.end
      guard try body(chunk.extracting(frame.payload..<frame.end)) else {
        store(chunk.extracting(offset..<chunk.count))
        return false
      }
    }
    store(chunk.extracting(offset..<chunk.count))
    return true
  }

  // MARK: Buffer

  /// Where the payload of the frame at `offset` begins and ends, which may be beyond the bytes; nil without a header.
  private static func frame(in bytes: Span<UInt8>, at offset: Int) throws(FrameError) -> (payload: Int, end: Int)? {
    guard bytes.count - offset >= Frame.headerSize else { return nil }
    var length = 0
    for index in offset..<(offset + Frame.headerSize) { length = length << 8 | Int(bytes[index]) }
    guard length <= Frame.maximumPayload else { throw .tooLarge(length) }
    let payload = offset + Frame.headerSize
    return (payload, payload + length)
  }

  private mutating func store(_ bytes: Span<UInt8>) {
    if held == 0 {
      guard bytes.count > 0 else { return release() }
      buffer.removeAll(keepingCapacity: true)
      head = 0
    } else if head > 0 {
      buffer.removeFirst(head)
      head = 0
    }
    let count = buffer.count + bytes.count
    if count > buffer.capacity {
      // Doubles as arrays do, but not beyond a frame.
      buffer.reserveCapacity(max(count, min(2 * buffer.capacity, Frame.maximumSize)))
    }
    unsafe bytes.withUnsafeBufferPointer { unsafe buffer.append(contentsOf: $0) }
  }

  private mutating func release() {
    buffer = []
    head = 0
  }
}
