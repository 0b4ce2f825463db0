// SPDX-License-Identifier: Apache-2.0

extension WebSocketCodec {
  /// Status codes of closing (RFC 6455 section 7.4).
  public enum CloseCode {
    public static let normal: UInt16 = 1000
    public static let goingAway: UInt16 = 1001
    public static let protocolError: UInt16 = 1002
    public static let unsupportedData: UInt16 = 1003
    /// Never sent: the peer gave none.
    public static let none: UInt16 = 1005
    public static let invalidData: UInt16 = 1007
    public static let tooBig: UInt16 = 1009
    public static let extensionMissing: UInt16 = 1010

    /// Whether a close frame may carry a code: those that are registered, and those left to libraries and applications.
    static func maySay(_ code: UInt16) -> Bool {
      switch code {
      case 1000...1003, 1007...1014, 3000...4999: true
      default: false
      }
    }
  }
}
