// SPDX-License-Identifier: Apache-2.0

/// A ClientHello at the beginning of a datagram, as far as it can be seen before anything about its sender is known
/// (RFC 6347, sections 4.1, 4.2.2 and 4.2.1): its random tells a client that begins anew from one that repeats itself.
struct DTLSHello: Equatable {
  private static let handshake: UInt8 = 22
  private static let clientHello: UInt8 = 1
  private static let recordHeader = 13
  private static let epoch = 3..<5
  private static let fragmentOffset = 19..<22
  /// Behind the headers of record and message, and the version.
  private static let randomStart = 27
  private static let randomSize = 32

  private let random: [UInt8]

  /// Nil for whatever else a datagram may begin with.
  init?(_ datagram: UnsafeRawBufferPointer) {
    guard datagram.count >= Self.randomStart + Self.randomSize, Self.mayBegin(datagram),
      datagram[Self.recordHeader] == Self.clientHello, datagram[Self.epoch].allSatisfy({ $0 == 0 }),
      datagram[Self.fragmentOffset].allSatisfy({ $0 == 0 })
    else { return nil }
    random = Array(datagram[Self.randomStart..<Self.randomStart + Self.randomSize])
  }

  /// Whether a client's first words may look like this; nothing else deserves a look.
  static func mayBegin(_ datagram: UnsafeRawBufferPointer) -> Bool {
    datagram.count > recordHeader && datagram[0] == handshake
  }
}
