// SPDX-License-Identifier: Apache-2.0
import RstreamWire
import Testing

@Suite("Protocol versions") struct ProtocolVersionTests {
  @Test("announce 1.4.5") func current() {
    #expect(ProtocolVersion.current.description == "1.4.5")
    #expect(ProtocolVersion("1.4.5") == .current)
  }

  @Test("have an optional patch") func patch() {
    #expect(ProtocolVersion("1.2") == ProtocolVersion(major: 1, minor: 2))
    #expect(ProtocolVersion("1.3.0") == ProtocolVersion(major: 1, minor: 3))
    #expect(ProtocolVersion("10.20.30") == ProtocolVersion(major: 10, minor: 20, patch: 30))
  }

  @Test("of official clients are accepted", arguments: ["1.2", "1.3.0", "1.4", "1.4.0", "1.4.1", "1.4.5", "1.4.99"])
  func accepted(_ text: String) {
    #expect(ProtocolVersion.refusal(of: text) == nil)
  }

  @Test("that are missing have a code") func missing() {
    #expect(ProtocolVersion.refusal(of: nil) == .protocolVersionMissing)
    #expect(ProtocolVersion.refusal(of: "") == .protocolVersionMissing)
  }

  @Test(
    "that cannot be read have a code",
    arguments: [
      " ", "x", "1", "1.", ".4", "1..5", "1.4.", "1.4.5.6", "v1.4.5", "1.4.5-rc1", "1.4.+5", "-1.4", "1.4 ", "1,4",
      "\u{661}.4", "1.4.99999999999999999999", "1.4.5\0",
    ])
  func invalid(_ text: String) {
    #expect(ProtocolVersion.refusal(of: text) == .protocolVersionInvalid)
  }

  @Test("that we do not speak have a code", arguments: ["0.9", "1.0", "1.1.9", "1.5.0", "2.4.5", "11.4.5", "1.40.5"])
  func incompatible(_ text: String) {
    #expect(ProtocolVersion.refusal(of: text) == .protocolVersionIncompatible)
  }
}
