// SPDX-License-Identifier: Apache-2.0
import CQUIC

/// A peer's STOP_SENDING frame (RFC 9000, section 19.5).
struct StopSending: Equatable {
  let stream: Int64
  let code: UInt64
}

/// Which streams the peer does not read any more, and with what code: ngtcp2 answers STOP_SENDING by itself and tells
/// nobody. So the frames of packets are looked at when they have been decrypted, on connections where that matters.
extension QUICConnection {
  /// Stops of one packet; a peer that has more to stop sends further packets.
  private static let stopLimit = 256

  /// Returns who read packets before, for `endReading`.
  func beginReading() -> UnsafeMutableRawPointer? {
    rstream_quic_read_by(Unmanaged.passUnretained(self).toOpaque(), Self.reader)
  }

  /// Tells the streams once ngtcp2 is done with the packet, for these may call it.
  func endReading(_ before: UnsafeMutableRawPointer?) {
    _ = rstream_quic_read_by(before, Self.reader)
    guard !stops.isEmpty else { return }
    let told = stops
    stops.removeAll(keepingCapacity: true)
    for stop in told {
      for case let stream? in streams where stream.id == stop.stream { stream.wasStopped(stop.code) }
    }
  }

  private static let reader: rstream_quic_reader = { owner, payload, size in
    guard let owner else { return }
    let connection = Unmanaged<QUICConnection>.fromOpaque(owner).takeUnretainedValue()
    var frames = QUICFrames(UnsafeRawBufferPointer(start: payload, count: size))
    while connection.stops.count < stopLimit, let stop = frames.nextStop() { connection.stops.append(stop) }
  }
}

/// Steps through the frames of a packet (RFC 9000, section 19; RFC 9221, section 4). What is no frame ends it: ngtcp2 tells
/// the peer.
struct QUICFrames {
  private let payload: UnsafeRawBufferPointer
  private var place = 0

  init(_ payload: UnsafeRawBufferPointer) { self.payload = payload }

  mutating func nextStop() -> StopSending? {
    while place < payload.count {
      let type = payload[place]
      place += 1
      if type == 0x05 {
        guard let stream = number(), let code = number() else { return end() }
        return StopSending(stream: Int64(clamping: stream), code: code)
      }
      guard skip(type) else { return end() }
    }
    return nil
  }

  private mutating func end() -> StopSending? {
    place = payload.count
    return nil
  }

  /// Goes past the rest of a frame.
  private mutating func skip(_ type: UInt8) -> Bool {
    switch type {
    case 0x00, 0x01, 0x1E: true
    case 0x02, 0x03: skipAcknowledgement(countsMarks: type == 0x03)
    case 0x04: numbers(3)
    case 0x06: numbers(1) && bytes()
    case 0x07: bytes()
    case 0x08...0x0F: numbers(type & 0x04 != 0 ? 2 : 1) && (type & 0x02 != 0 ? bytes() : rest())
    case 0x10, 0x12, 0x13, 0x14, 0x16, 0x17, 0x19: numbers(1)
    case 0x11, 0x15: numbers(2)
    case 0x18: numbers(2) && connectionID()
    case 0x1A, 0x1B: fixed(8)
    case 0x1C: numbers(2) && bytes()
    case 0x1D: numbers(1) && bytes()
    case 0x30: rest()
    case 0x31: bytes()
    default: false
    }
  }

  private mutating func skipAcknowledgement(countsMarks: Bool) -> Bool {
    guard numbers(2), let ranges = number(), numbers(1) else { return false }
    // Every range has two numbers of one byte at least.
    guard ranges <= UInt64(payload.count) / 2 else { return false }
    return numbers(2 * Int(ranges)) && (!countsMarks || numbers(3))
  }

  private mutating func number() -> UInt64? {
    guard let read = VariableLengthInteger.read(payload, from: place) else { return nil }
    place = read.end
    return read.value
  }

  private mutating func numbers(_ count: Int) -> Bool {
    for _ in 0..<count where number() == nil { return false }
    return true
  }

  private mutating func fixed(_ count: Int) -> Bool {
    guard count <= payload.count - place else { return false }
    place += count
    return true
  }

  /// Bytes behind their number.
  private mutating func bytes() -> Bool {
    guard let count = number(), let count = Int(exactly: count) else { return false }
    return fixed(count)
  }

  private mutating func connectionID() -> Bool {
    guard place < payload.count else { return false }
    let count = Int(payload[place])
    return fixed(1 + count + 16)
  }

  private mutating func rest() -> Bool {
    place = payload.count
    return true
  }
}
