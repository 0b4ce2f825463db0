// SPDX-License-Identifier: Apache-2.0

/// What a peer says in the SETTINGS frame of its control stream (RFC 9114, section 7.2.4), as far as UDP over HTTP/3 asks.
public struct HTTP3Settings: Equatable {
  private enum Identifier {
    /// RFC 9220, section 3.
    static let enableConnectProtocol: UInt64 = 0x08
    /// RFC 9297, section 2.1.1.
    static let datagram: UInt64 = 0x33
  }

  private static let controlStream: UInt64 = 0x00
  private static let settingsFrame: UInt64 = 0x04
  /// A peer that has more to say about itself than this is not listened to.
  private static let maximumSize: UInt64 = 4096

  var enablesConnectProtocol = false
  var enablesDatagrams = false

  enum Reading: Equatable {
    case incomplete
    /// Another kind of stream, or no SETTINGS in front.
    case absent
    case settings(HTTP3Settings)
  }

  /// Reads the beginning of a unidirectional stream.
  static func read(_ bytes: UnsafeRawBufferPointer) -> Reading {
    guard let type = VariableLengthInteger.read(bytes, from: 0) else { return .incomplete }
    guard type.value == controlStream else { return .absent }
    guard let frame = VariableLengthInteger.read(bytes, from: type.end) else { return .incomplete }
    guard frame.value == settingsFrame else { return .absent }
    guard let length = VariableLengthInteger.read(bytes, from: frame.end) else { return .incomplete }
    guard length.value <= maximumSize else { return .absent }
    let end = length.end + Int(length.value)
    guard bytes.count >= end else { return .incomplete }
    var settings = HTTP3Settings()
    var position = length.end
    let payload = UnsafeRawBufferPointer(rebasing: bytes[..<end])
    while position < end {
      guard let identifier = VariableLengthInteger.read(payload, from: position),
        let value = VariableLengthInteger.read(payload, from: identifier.end)
      else { return .absent }
      switch identifier.value {
      case Identifier.enableConnectProtocol: settings.enablesConnectProtocol = value.value == 1
      case Identifier.datagram: settings.enablesDatagrams = value.value == 1
      default: break
      }
      position = value.end
    }
    return .settings(settings)
  }

  /// The same beginning of a control stream with H3_DATAGRAM switched on: nghttp3 before 1.0 has no word for it. Nil when
  /// the bytes do not begin with a whole SETTINGS frame.
  static func enablingDatagrams(_ bytes: UnsafeRawBufferPointer) -> [UInt8]? {
    guard case .settings(let settings) = read(bytes) else { return nil }
    if settings.enablesDatagrams { return Array(bytes) }
    guard let type = VariableLengthInteger.read(bytes, from: 0),
      let frame = VariableLengthInteger.read(bytes, from: type.end),
      let length = VariableLengthInteger.read(bytes, from: frame.end)
    else { return nil }
    let added = VariableLengthInteger.encoded(Identifier.datagram) + [1]
    return Array(bytes[..<frame.end]) + VariableLengthInteger.encoded(length.value + UInt64(added.count))
      + added + Array(bytes[length.end...])
  }
}
