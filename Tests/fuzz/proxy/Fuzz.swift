// SPDX-License-Identifier: Apache-2.0
@testable import RstreamNet

/// What proxies answer. The first byte picks the protocol, the rest is the answer: no input may crash the reader, and it
/// says the same of the bytes in one piece and one by one.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let bytes = Array(UnsafeBufferPointer(start: data, count: count))
  guard let first = bytes.first, let one = negotiation(first), let other = negotiation(first) else { return 0 }
  let answer = Array(bytes.dropFirst())
  // A relay's datagram: what it carries lies inside.
  let start = answer.withUnsafeBytes { SOCKS5Datagram.payloadStart(of: $0) }
  if let start, start > answer.count { fatalError("the payload begins behind the datagram") }
  if hear([answer], one) != hear(answer.map { [$0] }, other) { fatalError("pieces make a difference") }
  return 0
}

private func negotiation(_ choice: UInt8) -> (any ProxyNegotiation)? {
  var server = ProxyServer(choice & 1 == 0 ? .socks5 : .http, host: "proxy", port: 1080)
  if choice & 2 != 0 { server.credentials = .init(username: "user", password: "password") }
  if choice & 4 != 0 { return try? SOCKS5Request.association(server) }
  return try? server.negotiation(to: ProxyTarget(host: "edge.example", port: 443))
}

/// What the client says, and how it ends.
private func hear(_ pieces: [[UInt8]], _ start: any ProxyNegotiation) -> [[UInt8]] {
  var negotiation = start
  var said = [negotiation.opening()]
  var input: [UInt8] = []
  for (index, piece) in pieces.enumerated() {
    input += piece
    while true {
      do throws(Failure) {
        let (consumed, step) = try negotiation.advance(input)
        input.removeFirst(consumed)
        if case .send(let answer) = step {
          said.append(answer)
          continue
        }
        if case .open(let bound) = step {
          said.append(Array("\(bound?.authority ?? "")".utf8))
          return said + [input + pieces[(index + 1)...].joined()]
        }
        break
      } catch {
        return said + [Array(error.message.utf8)]
      }
    }
  }
  return said
}
