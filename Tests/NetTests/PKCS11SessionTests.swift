// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RstreamNet

struct PKCS11SessionTests {
  @Test func putsECDSASignaturesInDER() {
    #expect(PKCS11Session.sequence(of: [1, 2]) == [0x30, 6, 2, 1, 1, 2, 1, 2])
    // Positive numbers, without needless zeros.
    #expect(PKCS11Session.sequence(of: [0, 0x80, 0, 0]) == [0x30, 7, 2, 2, 0, 0x80, 2, 1, 0])
    let long = PKCS11Session.sequence(of: [UInt8](repeating: 0xFF, count: 132))
    #expect(Array(long.prefix(6)) == [0x30, 0x81, 138, 2, 67, 0] && long.count == 141)
    #expect(PKCS11Session.sequence(of: []) == [0x30, 6, 2, 1, 0, 2, 1, 0])
  }
}
