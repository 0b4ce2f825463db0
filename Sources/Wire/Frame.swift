// SPDX-License-Identifier: Apache-2.0

/// The framing of messages, and of packets on a framed datagram tunnel: four bytes of length, big-endian, and the
/// payload.
public enum Frame {
  public static let headerSize = 4
  public static let maximumPayload = 65_535
  public static let maximumSize = headerSize + maximumPayload

  /// A message in its frame.
  public static func encode(_ message: Message) throws(FrameError) -> [UInt8] {
    var writer = ProtoWriter(leading: [0, 0, 0, 0])
    message.write(to: &writer)
    let length = writer.bytes.count - headerSize
    guard length <= maximumPayload else { throw .tooLarge(length) }
    writer.overwrite(2, with: UInt8(truncatingIfNeeded: length >> 8))
    writer.overwrite(3, with: UInt8(truncatingIfNeeded: length))
    return writer.bytes
  }

  /// A packet in its frame.
  public static func encode(packet: [UInt8]) throws(FrameError) -> [UInt8] {
    guard packet.count <= maximumPayload else { throw .tooLarge(packet.count) }
    return [0, 0, UInt8(truncatingIfNeeded: packet.count >> 8), UInt8(truncatingIfNeeded: packet.count)] + packet
  }

  /// The header of a frame as it lies in memory, to be stored in front of a payload that is written separately.
  public static func header(payload count: Int) throws(FrameError) -> UInt32 {
    guard let length = UInt16(exactly: count) else { throw .tooLarge(count) }
    return UInt32(length).bigEndian
  }
}

/// Why bytes are not a frame.
public enum FrameError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The payload, announced or given, is longer than `Frame.maximumPayload`.
  case tooLarge(Int)
  /// Bytes were appended to a `FrameReader` that holds a frame nobody has taken.
  case unread

  public var description: String {
    switch self {
    case .tooLarge(let length): "a frame of \(length) bytes is longer than \(Frame.maximumPayload)"
    case .unread: "frames arrive faster than they are taken"
    }
  }
}
