// SPDX-License-Identifier: Apache-2.0
@testable import RstreamNet

private let queries = [DNSRecordType.a, .aaaa, .svcb, .https].map { try? DNSQuery("e.test", $0, dnssec: true) }

/// What name servers answer. The first byte picks a question, the rest is the answer to it, without its id: no input may
/// crash the reader, and what it reads is about names in lower case.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let bytes = Array(UnsafeBufferPointer(start: data, count: count))
  guard let first = bytes.first, let query = queries[Int(first) % queries.count] else { return 0 }
  _ = ECHConfigList.isUsable(Array(bytes.dropFirst()))
  let message = query.bytes.prefix(2) + bytes.dropFirst()
  guard let reply = Array(message).withUnsafeBytes({ DNSReply($0, to: query) }) else { return 0 }
  for record in reply.answers {
    if record.owner.utf8.contains(where: { (0x41...0x5A).contains($0) }) { fatalError("a name in upper case") }
    for service in reply.services(of: record.owner) {
      if let list = service.echList(for: ["rstrm/1"]), !ECHConfigList.isUsable(list) { fatalError("a broken list") }
    }
    if let next = reply.alias(of: record.owner), next.utf8.count > 1100 { fatalError("a name longer than names are") }
  }
  return 0
}
