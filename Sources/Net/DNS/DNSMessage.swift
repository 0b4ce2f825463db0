// SPDX-License-Identifier: Apache-2.0
import CLDNS
import Glibc

/// Types of records that are asked for.
public enum DNSRecordType: UInt16, Sendable {
  case a = 1
  case cname = 5
  case aaaa = 28
  /// RFC 9460.
  case svcb = 64
  case https = 65
}

/// A record of an answer. Other types are left out.
struct DNSRecord: Equatable {
  enum Data: Equatable {
    case address(SocketAddress.Host)
    case alias(String)
    case service(ServiceBinding)
  }

  /// Lower case, without the last dot.
  let owner: String
  let data: Data
}

/// A question to a name server (RFC 1035, RFC 6891).
struct DNSQuery {
  /// What one UDP message may hold without being fragmented on any path.
  private static let udpSize: UInt16 = 1232

  let name: String
  let type: DNSRecordType
  let id: UInt16
  let bytes: [UInt8]

  /// - Parameter dnssec: sets DO, which asks the server to say whether it has validated its answer
  init(_ name: String, _ type: DNSRecordType, dnssec: Bool) throws(Failure) {
    let question = name.hasSuffix(".") ? name : "\(name)."
    guard question != ".", let owner = ldns_dname_new_frm_str(question) else {
      throw Failure(ErrorCode.invalidConfig, "look up \(name): it is not a DNS name")
    }
    guard
      let packet = ldns_pkt_query_new(
        owner, ldns_rr_type(UInt32(type.rawValue)), LDNS_RR_CLASS_IN, UInt16(LDNS_RD))
    else {
      ldns_rdf_deep_free(owner)
      throw Self.outOfMemory
    }
    defer { ldns_pkt_free(packet) }
    id = .random(in: .min ... .max)
    ldns_pkt_set_id(packet, id)
    ldns_pkt_set_edns_udp_size(packet, Self.udpSize)
    ldns_pkt_set_edns_do(packet, dnssec ? 1 : 0)
    var wire: UnsafeMutablePointer<UInt8>?
    var count = 0
    guard ldns_pkt2wire(&wire, packet, &count) == LDNS_STATUS_OK, let wire else { throw Self.outOfMemory }
    defer { free(wire) }
    bytes = Array(UnsafeBufferPointer(start: wire, count: count))
    self.type = type
    self.name = HostNameText.normalized(name)
  }

  private static var outOfMemory: Failure { Failure(-ENOMEM, "make a DNS query: out of memory") }
}

/// What a name server has answered.
struct DNSReply {
  enum Status: Equatable {
    case success
    case noSuchName
    /// SERVFAIL, REFUSED and the like: ask another server.
    case failed(String)
  }

  let status: Status
  let isTruncated: Bool
  /// AD (RFC 4035 3.2.3): the server has validated the answer.
  let isAuthenticated: Bool
  let answers: [DNSRecord]

  /// Nothing when the bytes are no answer to that query.
  init?(_ bytes: UnsafeRawBufferPointer, to query: DNSQuery) {
    var parsed: UnsafeMutablePointer<ldns_pkt>?
    guard let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self),
      ldns_wire2pkt(&parsed, start, bytes.count) == LDNS_STATUS_OK, let packet = parsed
    else { return nil }
    defer { ldns_pkt_free(packet) }
    guard rstream_dns_is_reply(packet) != 0, ldns_pkt_id(packet) == query.id, Self.asks(packet, query) else {
      return nil
    }
    isTruncated = rstream_dns_is_truncated(packet) != 0
    isAuthenticated = rstream_dns_is_authenticated(packet) != 0
    switch ldns_pkt_get_rcode(packet) {
    case LDNS_RCODE_NOERROR: status = .success
    case LDNS_RCODE_NXDOMAIN: status = .noSuchName
    case let other:
      let name = ldns_pkt_rcode2str(other)
      defer { free(name) }
      status = .failed(name.map { String(cString: $0) } ?? "error \(other.rawValue)")
    }
    let section = ldns_pkt_answer(packet)
    answers = (0..<ldns_rr_list_rr_count(section)).compactMap { index in
      guard let record = ldns_rr_list_rr(section, index) else { return nil }
      return Self.record(record)
    }
  }

  /// Whether the reply repeats the question.
  private static func asks(_ packet: UnsafePointer<ldns_pkt>, _ query: DNSQuery) -> Bool {
    let section = ldns_pkt_question(packet)
    guard ldns_rr_list_rr_count(section) == 1, let question = ldns_rr_list_rr(section, 0) else { return false }
    return ldns_rr_get_type(question).rawValue == UInt32(query.type.rawValue)
      && name(ldns_rr_owner(question)) == query.name
  }

  private static func record(_ raw: UnsafePointer<ldns_rr>) -> DNSRecord? {
    guard let owner = name(ldns_rr_owner(raw)),
      let type = DNSRecordType(rawValue: UInt16(truncatingIfNeeded: ldns_rr_get_type(raw).rawValue))
    else { return nil }
    let data = (0..<ldns_rr_rd_count(raw)).reduce(into: [UInt8]()) { bytes, index in
      guard let field = ldns_rr_rdf(raw, index), let start = ldns_rdf_data(field) else { return }
      bytes.append(contentsOf: UnsafeBufferPointer(start: start, count: ldns_rdf_size(field)))
    }
    switch type {
    case .a where data.count == 4:
      return DNSRecord(owner: owner, data: .address(.v4(data.reduce(0) { $0 << 8 | UInt32($1) })))
    case .aaaa where data.count == 16:
      var bytes = SIMD16<UInt8>()
      for index in 0..<16 { bytes[index] = data[index] }
      return DNSRecord(owner: owner, data: .address(.v6(bytes)))
    case .cname:
      guard let target = name(ldns_rr_rdf(raw, 0)) else { return nil }
      return DNSRecord(owner: owner, data: .alias(target))
    case .svcb, .https:
      return ServiceBinding(data).map { DNSRecord(owner: owner, data: .service($0)) }
    default:
      return nil
    }
  }

  private static func name(_ field: UnsafeMutablePointer<ldns_rdf>?) -> String? {
    guard let field, let text = rstream_dns_name(field) else { return nil }
    defer { free(text) }
    return String(cString: text)
  }
}

/// DNS names as they are compared: in lower case, without the last dot.
enum HostNameText {
  static func normalized(_ name: String) -> String {
    var bytes = name.utf8.map(HTTPCharacter.lowercased)
    if bytes.last == UInt8(ascii: ".") { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }
}
