// SPDX-License-Identifier: Apache-2.0

/// Datagrams that wait to be sent, in one block of memory that goes round: the oldest makes way for one more than there is
/// room for.
struct DatagramQueue {
  /// Bytes of all that wait.
  private static let room = 131_072

  private let limit: Int
  private var memory: UnsafeMutableRawPointer?
  /// Where each begins and how long it is.
  private var entries: [(start: Int, count: Int)] = []
  private var head = 0
  private(set) var count = 0
  private(set) var dropped: UInt64 = 0

  init(limit: Int) { self.limit = max(1, limit) }

  var isEmpty: Bool { count == 0 }

  var first: UnsafeRawBufferPointer? {
    guard count > 0, let memory else { return nil }
    let entry = entries[head]
    return UnsafeRawBufferPointer(start: memory + entry.start, count: entry.count)
  }

  /// Takes a datagram of at most 65,535 bytes.
  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count <= 65_535 else { return drop() }
    if memory == nil {
      memory = .allocate(byteCount: Self.room, alignment: 16)
      entries = Array(repeating: (0, 0), count: limit)
    }
    if count == limit { dropFirst() }
    while true {
      if let start = place(for: bytes.count), let memory {
        if let source = bytes.baseAddress { (memory + start).copyMemory(from: source, byteCount: bytes.count) }
        entries[(head + count) % limit] = (start, bytes.count)
        count += 1
        return
      }
      dropFirst()
    }
  }

  mutating func removeFirst() {
    guard count > 0 else { return }
    head = (head + 1) % limit
    count -= 1
  }

  mutating func removeAll() {
    memory?.deallocate()
    memory = nil
    entries = []
    head = 0
    count = 0
  }

  /// Counts a datagram that could not be sent.
  mutating func drop() { dropped &+= 1 }

  private mutating func dropFirst() {
    removeFirst()
    drop()
  }

  /// Where so many bytes fit behind the newest; nil when the oldest is in the way.
  private func place(for size: Int) -> Int? {
    guard count > 0 else { return 0 }
    let newest = entries[(head + count - 1) % limit]
    let oldest = entries[head].start
    let end = newest.start + newest.count
    // The newest has been wrapped to the front when it lies before the oldest.
    if newest.start >= oldest {
      if end + size <= Self.room { return end }
      return size < oldest ? 0 : nil
    }
    return end + size < oldest ? end : nil
  }
}
