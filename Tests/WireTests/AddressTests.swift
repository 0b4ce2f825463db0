// SPDX-License-Identifier: Apache-2.0
import RstreamWire
import Testing

@Suite("IP addresses") struct AddressTests {
  @Test(
    "are read from text and written as text",
    arguments: [
      "0.0.0.0", "192.0.2.10", "255.255.255.255", "::", "::1", "2001:db8::1", "2001:db8:0:1:1:1:1:1",
      "fe80::1234:0:0:1", "::ffff:192.0.2.1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ])
  func text(_ text: String) throws {
    #expect(IpAddress(text: text)?.text == text)
  }

  @Test("have one usual form") func canonical() {
    #expect(IpAddress(text: "2001:0DB8:0:0:0:0:0:1")?.text == "2001:db8::1")
    #expect(IpAddress(text: "1:0:0:2:0:0:0:3")?.text == "1:0:0:2::3")
  }

  @Test("are numbers and bytes as the protocol has them") func values() {
    #expect(IpAddress(text: "192.0.2.10") == .v4(0xC000_020A))
    #expect(IpAddress(text: "2001:db8::1") == .v6(bytes("20010db8000000000000000000000001")))
  }

  @Test(
    "are nothing else",
    arguments: [
      "", " ", "localhost", "192.0.2", "192.0.2.256", "192.0.2.10 ", "192.0.2.10\0", "192.0.2.10:443", "1.2.3.4.5",
      "[::1]", "::1%lo", ":::", "1::2::3", "12345::", "::1/128",
    ])
  func invalid(_ text: String) {
    #expect(IpAddress(text: text) == nil)
  }

  @Test("of a wrong length are kept, but have no text", arguments: [0, 4, 15, 17]) func wrongLength(_ count: Int) throws
  {
    let address = IpAddress.v6([UInt8](repeating: 1, count: count))
    #expect(address.text == nil)
    let message = Message.proxyConnReq(ProxyConnReq(tunnelID: "t", streamID: "s", sourceIP: address))
    #expect(try Message.decode(message.encoded()) == message)
    #expect(IpAddress.unset.text == nil)
  }

  @Test("travel as fixed32 or bytes, the zero address included") func wire() throws {
    for (address, hex) in [
      (IpAddress.unset, "4a02 2200"), (.v4(0), "4a07 2205 0d00000000"), (.v4(0xC000_020A), "4a07 2205 0d0a0200c0"),
      (.v6(bytes("20010db8000000000000000000000001")), "4a14 2212 1210 20010db8000000000000000000000001"),
    ] {
      let message = Message.proxyConnReq(ProxyConnReq(tunnelID: "", streamID: "", sourceIP: address))
      #expect(message.encoded() == bytes(hex))
      #expect(try Message.decode(bytes(hex)) == message)
    }
    // The last member of the oneof counts.
    let both = try Message.decode(bytes("4a0a 2208 0d0a0200c0 1201ff"))
    #expect(both == .proxyConnReq(ProxyConnReq(tunnelID: "", streamID: "", sourceIP: .v6([0xff]))))
  }
}
