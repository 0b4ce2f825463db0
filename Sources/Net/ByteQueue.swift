// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Bytes waiting to be sent or delivered: one growing block of memory that is given back as soon as it is empty, so that
/// idle connections cost nothing.
struct ByteQueue {
  private var memory: UnsafeMutableRawPointer?
  private var capacity = 0
  private var head = 0
  private var tail = 0

  var count: Int { tail - head }
  var isEmpty: Bool { head == tail }

  var bytes: UnsafeRawBufferPointer {
    guard let memory else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    return UnsafeRawBufferPointer(start: memory + head, count: tail - head)
  }

  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    if capacity - tail < bytes.count { makeRoom(for: bytes.count) }
    guard let memory else { return }
    (memory + tail).copyMemory(from: source, byteCount: bytes.count)
    tail += bytes.count
  }

  /// Takes memory for so many bytes more at once.
  mutating func reserve(_ count: Int) {
    if capacity - tail < count { makeRoom(for: count) }
  }

  mutating func removeFirst(_ count: Int) {
    head = min(tail, head + count)
    if head == tail { removeAll() }
  }

  mutating func removeAll() {
    memory?.deallocate()
    memory = nil
    capacity = 0
    head = 0
    tail = 0
  }

  private mutating func makeRoom(for extra: Int) {
    let needed = count + extra
    if needed <= capacity, head >= capacity / 2, let memory {
      memory.copyMemory(from: memory + head, byteCount: count)
      tail -= head
      head = 0
      return
    }
    let larger = max(needed, capacity * 2, 4096)
    let fresh = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
    if let memory {
      fresh.copyMemory(from: memory + head, byteCount: count)
      memory.deallocate()
    }
    tail -= head
    head = 0
    memory = fresh
    capacity = larger
  }
}
