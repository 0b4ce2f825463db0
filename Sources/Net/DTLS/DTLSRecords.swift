// SPDX-License-Identifier: Apache-2.0

/// The records of a datagram, by their headers (RFC 6347, section 4.1). OpenSSL ends a connection for some that nobody can
/// have sent who knows its keys, and anybody can send in somebody else's name: those are not shown to it.
enum DTLSRecords {
  private static let header = 13
  private static let changeCipherSpec: UInt8 = 20
  private static let applicationData: UInt8 = 23

  /// How many bytes of a datagram lie in front of the first such record.
  /// - Parameter overhead: what an encrypted record is longer than its content
  static func sound(_ datagram: UnsafeRawBufferPointer, overhead: Int) -> Int {
    var start = 0
    while datagram.count - start > header {
      let type = datagram[start]
      let isEncrypted = datagram[start + 3] != 0 || datagram[start + 4] != 0
      let length = Int(datagram[start + 11]) << 8 | Int(datagram[start + 12])
      guard (changeCipherSpec...applicationData).contains(type), datagram[start + 1] == 0xFE, length > 0,
        length <= datagram.count - start - header, isEncrypted ? length > overhead : type != applicationData
      else { break }
      start += header + length
    }
    return start
  }
}
