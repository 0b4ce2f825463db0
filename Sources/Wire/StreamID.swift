// SPDX-License-Identifier: Apache-2.0

/// The ids of streams: text in messages, and the first twelve bytes of QUIC datagrams.
public enum StreamID {
  /// Bytes of a datagram channel's id.
  public static let channelSize = 12
  private static let digits = Array("0123456789abcdef".utf8)

  /// A new id: 24 lowercase hexadecimal digits.
  public static func random() -> String {
    var generator = SystemRandomNumberGenerator()
    return random(using: &generator)
  }

  public static func random(using generator: inout some RandomNumberGenerator) -> String {
    String(
      decoding: (0..<(2 * channelSize)).map { _ in digits[Int.random(in: 0..<16, using: &generator)] }, as: UTF8.self)
  }

  /// True for 24 lowercase hexadecimal digits, the form this library gives out.
  public static func isCanonical(_ id: String) -> Bool {
    id.utf8.count == 2 * channelSize && id.utf8.allSatisfy(digits.contains)
  }

  /// The id of the datagram channel that belongs to a stream: its first 24 hexadecimal digits, dashes left out. Other
  /// engines send UUIDs. Nil when the digits are too few or something else is among them.
  public static func channel(of id: String) -> [UInt8]? {
    var channel: [UInt8] = []
    var high: UInt8?
    for character in id.utf8 where character != UInt8(ascii: "-") {
      let digit: UInt8
      switch character {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = character - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = character - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = character - UInt8(ascii: "A") + 10
      default: return nil
      }
      if let first = high {
        channel.append(first << 4 | digit)
        high = nil
      } else {
        high = digit
      }
      if channel.count == channelSize { return channel }
    }
    return nil
  }
}
