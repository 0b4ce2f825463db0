// SPDX-License-Identifier: Apache-2.0

/// Joins what consecutive packets bring for one stream, so that its owner gets a batch of packets as one piece: what
/// follows, a write to a socket for example, costs as much for a packet's bytes as for many.
///
/// There is one for a loop. Whoever has read packets calls `deliver` once all have been handed over.
final class StreamGathering {
  private var stream: QUICStream?
  private var memory: UnsafeMutableRawBufferPointer?
  private var count = 0

  /// Adds the next bytes of a stream, having delivered what there is of another.
  func append(_ bytes: UnsafeRawBufferPointer, of next: QUICStream, withEnd: Bool) {
    if stream !== next || count + bytes.count > Loop.chunkSize { deliver() }
    // Nothing is won by copying what comes alone.
    guard !withEnd || count > 0, bytes.count > 0, bytes.count <= Loop.chunkSize else {
      deliver()
      return next.received(bytes, withEnd: withEnd)
    }
    let room = memory ?? next.loop.takeScratch()
    memory = room
    stream = next
    UnsafeMutableRawBufferPointer(rebasing: room[count...]).copyMemory(from: bytes)
    count += bytes.count
    if withEnd { deliver(withEnd: true) }
  }

  /// Delivers until there is nothing left: what is delivered may carry the packets of another connection, whose streams'
  /// bytes are then gathered here, and must not be taken for those of whatever comes next.
  func deliver(withEnd: Bool = false) {
    var withEnd = withEnd
    while let stream, let memory {
      let bytes = UnsafeRawBufferPointer(rebasing: memory[..<count])
      self.stream = nil
      self.memory = nil
      count = 0
      stream.received(bytes, withEnd: withEnd)
      stream.loop.giveBackScratch(memory)
      withEnd = false
    }
  }

  /// Delivers what there is of a stream that something else is about to happen to.
  func deliver(of stream: QUICStream) {
    if self.stream === stream { deliver() }
  }
}
