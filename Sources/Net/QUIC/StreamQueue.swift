// SPDX-License-Identifier: Apache-2.0

/// Streams that wait for their turn, first in first out, in a ring that is made larger when it is full.
struct StreamQueue {
  private var ring: [QUICStream?] = []
  private var head = 0
  private(set) var count = 0

  var first: QUICStream? { count > 0 ? ring[head] : nil }

  mutating func append(_ stream: QUICStream) {
    if count == ring.count { grow() }
    ring[(head + count) % ring.count] = stream
    count += 1
  }

  mutating func removeFirst() {
    guard count > 0 else { return }
    ring[head] = nil
    head = (head + 1) % ring.count
    count -= 1
  }

  /// Puts the first behind the others.
  mutating func rotate() {
    guard count > 1, let stream = first else { return }
    removeFirst()
    append(stream)
  }

  mutating func removeAll() {
    ring = []
    head = 0
    count = 0
  }

  private mutating func grow() {
    var larger: [QUICStream?] = []
    larger.reserveCapacity(max(8, ring.count * 2))
    for index in 0..<count { larger.append(ring[(head + index) % ring.count]) }
    larger.append(contentsOf: Array(repeating: nil, count: max(8, ring.count * 2) - count))
    ring = larger
    head = 0
  }
}
