// SPDX-License-Identifier: Apache-2.0
import RstreamWire
import Testing

@Suite("Stream ids") struct StreamIDTests {
  @Test("of ours are 24 lowercase hexadecimal digits, never twice the same") func random() {
    let ids = (0..<100).map { _ in StreamID.random() }
    #expect(ids.allSatisfy(StreamID.isCanonical))
    #expect(Set(ids).count == ids.count)
  }

  @Test(
    "of others are told apart",
    arguments: [
      "", "00112233445566778899aab", "00112233445566778899aabbc", "00112233445566778899AABB",
      "00112233445566778899aabg", "0011-2233445566778899aab", "c56a4180-65aa-42ec-a945-5fd21dec0538",
    ])
  func foreign(_ id: String) {
    #expect(!StreamID.isCanonical(id))
  }

  @Test("give the id of their datagram channel") func channel() {
    let expected = bytes("00112233445566778899aabb")
    #expect(StreamID.channel(of: "00112233445566778899aabb") == expected)
    #expect(StreamID.channel(of: "00112233-4455-6677-8899-aabbccddeeff") == expected)
    #expect(StreamID.channel(of: "00112233-4455-6677-8899-AABBCCDDEEFF") == expected)
  }

  @Test(
    "give none without 24 digits", arguments: ["", "-", "00112233445566778899aab", "00112233445566778899aabx", "é"])
  func noChannel(_ id: String) {
    #expect(StreamID.channel(of: id) == nil)
  }
}
