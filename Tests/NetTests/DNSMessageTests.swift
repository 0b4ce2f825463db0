// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RstreamNet

/// Puts together what a name server sends (RFC 1035, section 4).
struct DNSReplyMaker {
  var flags: UInt16 = 0x8180
  var answers: [[UInt8]] = []

  static func name(_ text: String) -> [UInt8] {
    text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
  }

  static func uint16(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 255), UInt8(value & 255)] }

  mutating func answer(_ owner: String, _ type: DNSRecordType, _ data: [UInt8]) {
    answers.append(
      Self.name(owner) + Self.uint16(Int(type.rawValue)) + [0, 1, 0, 0, 0, 60] + Self.uint16(data.count) + data)
  }

  func bytes(to query: DNSQuery, id: UInt16? = nil, question: String? = nil) -> [UInt8] {
    Self.uint16(Int(id ?? query.id)) + Self.uint16(Int(flags)) + [0, 1] + Self.uint16(answers.count) + [0, 0, 0, 0]
      + Self.name(question ?? query.name) + Self.uint16(Int(query.type.rawValue)) + [0, 1] + answers.joined()
  }
}

private func reply(_ bytes: [UInt8], to query: DNSQuery) -> DNSReply? {
  bytes.withUnsafeBytes { DNSReply($0, to: query) }
}

struct DNSMessageTests {
  @Test(arguments: [true, false]) func asksWithRecursionAndEDNS(_ dnssec: Bool) throws {
    let query = try DNSQuery("Edge.Example", .aaaa, dnssec: dnssec)
    let id = DNSReplyMaker.uint16(Int(query.id))
    #expect(query.name == "edge.example")
    #expect(
      query.bytes
        == id + [1, 0, 0, 1, 0, 0, 0, 0, 0, 1] + DNSReplyMaker.name("Edge.Example") + [0, 28, 0, 1]
        + [0, 0, 41, 0x04, 0xD0, 0, 0, dnssec ? 0x80 : 0, 0, 0, 0])
  }

  @Test func idsDiffer() throws {
    let ids = try Set((0..<20).map { _ in try DNSQuery("edge.example", .a, dnssec: false).id })
    #expect(ids.count > 10)
  }

  @Test func refusesWhatIsNoName() {
    for name in ["", ".", "a..b", String(repeating: "a", count: 64) + ".example"] {
      #expect(throws: Failure.self) { try DNSQuery(name, .a, dnssec: false) }
    }
  }

  @Test func readsAddressesAndAliases() throws {
    let query = try DNSQuery("edge.example", .a, dnssec: false)
    var maker = DNSReplyMaker()
    maker.answer("EDGE.example", .cname, DNSReplyMaker.name("Real.Example"))
    maker.answer("real.example", .a, [192, 0, 2, 7])
    maker.answer("real.example", .aaaa, [0x20, 1, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [9])
    let read = try #require(reply(maker.bytes(to: query), to: query))
    #expect(read.status == .success && !read.isTruncated && !read.isAuthenticated)
    #expect(read.alias(of: "edge.example") == "real.example")
    #expect(read.answers.count == 3)
    #expect(read.answers[1] == DNSRecord(owner: "real.example", data: .address(.v4(0xC000_0207))))
    guard case .address(let v6) = read.answers[2].data else { return #expect(Bool(false)) }
    #expect(SocketAddress(v6, port: 0).hostText == "2001:db8::9")
  }

  @Test func readsFlagsAndStatus() throws {
    let query = try DNSQuery("edge.example", .a, dnssec: true)
    var maker = DNSReplyMaker()
    maker.flags = 0x83A3
    let read = try #require(reply(maker.bytes(to: query), to: query))
    #expect(read.isTruncated && read.isAuthenticated && read.status == .noSuchName)
    maker.flags = 0x8182
    #expect(reply(maker.bytes(to: query), to: query)?.status == .failed("SERVFAIL"))
  }

  @Test func takesNothingButAnAnswerToItsQuestion() throws {
    let query = try DNSQuery("edge.example", .a, dnssec: false)
    let maker = DNSReplyMaker()
    #expect(reply(maker.bytes(to: query), to: query) != nil)
    #expect(reply(maker.bytes(to: query, id: query.id ^ 1), to: query) == nil)
    #expect(reply(maker.bytes(to: query, question: "other.example"), to: query) == nil)
    #expect(reply(query.bytes, to: query) == nil)
    #expect(reply([], to: query) == nil)
    let whole = maker.bytes(to: query)
    for count in 0..<whole.count { #expect(reply(Array(whole[..<count]), to: query) == nil) }
  }
}

struct ServiceBindingTests {
  private let ech: [UInt8] = [0, 8, 0xFE, 0x0D, 0, 4, 1, 2, 3, 4]

  private func parameter(_ key: Int, _ value: [UInt8]) -> [UInt8] {
    DNSReplyMaker.uint16(key) + DNSReplyMaker.uint16(value.count) + value
  }

  @Test func readsTargetProtocolsAndECH() throws {
    let alpn: [UInt8] = [2] + Array("h2".utf8) + [8] + Array("rstrm/1x".utf8)
    let data =
      [0, 1] + DNSReplyMaker.name("Target.Example") + parameter(1, alpn) + parameter(3, [1, 0xBB]) + parameter(5, ech)
    let binding = try #require(ServiceBinding(data))
    #expect(binding.priority == 1 && binding.target == "target.example")
    #expect(binding.protocols == ["h2", "rstrm/1x"] && binding.ech == ech)
    let alias = try #require(ServiceBinding([0, 0, 0]))
    #expect(alias.priority == 0 && alias.target == "" && alias.protocols == nil && alias.ech == nil)
  }

  @Test func readsItFromARecord() throws {
    let query = try DNSQuery("_443._rstream.edge.example", .svcb, dnssec: false)
    var maker = DNSReplyMaker()
    maker.answer("_443._rstream.edge.example", .svcb, [0, 1, 0] + parameter(5, ech))
    let read = try #require(reply(maker.bytes(to: query), to: query))
    guard case .service(let binding)? = read.answers.first?.data else { return #expect(Bool(false)) }
    #expect(binding.ech == ech)
  }

  @Test(
    arguments: [
      [], [0], [0, 1], [0, 1, 5, 97], [0, 1, 64] + [UInt8](repeating: 97, count: 64) + [0],
      [0, 1, 0, 0, 1], [0, 1, 0, 0, 1, 0, 9, 1], [0, 1, 0, 0, 1, 0, 0],
      [0, 1, 0, 0, 5, 0, 0, 0, 1, 0, 3, 2, 104, 50], [0, 1, 0, 0, 1, 0, 2, 0, 0], [0, 1, 0, 0, 1, 0, 2, 5, 97],
    ] as [[UInt8]])
  func refusesMalformedData(_ data: [UInt8]) {
    #expect(ServiceBinding(data) == nil)
  }

  @Test func knowsUsableECHConfigLists() {
    #expect(ECHConfigList.isUsable(ech))
    #expect(ECHConfigList.isUsable([0, 14, 0xFE, 0x0A, 0, 2, 9, 9] + ech[2...]))
    for count in 0..<ech.count { #expect(!ECHConfigList.isUsable(Array(ech[..<count]))) }
    #expect(!ECHConfigList.isUsable([0, 6, 0xFE, 0x0A, 0, 2, 9, 9]))
    #expect(!ECHConfigList.isUsable([0, 4, 0xFE, 0x0D, 0, 0]))
    #expect(!ECHConfigList.isUsable([0, 5, 0xFE, 0x0D, 0, 4, 1]))
  }
}
