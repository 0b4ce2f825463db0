// SPDX-License-Identifier: Apache-2.0

/// The platform's name servers, for questions that its resolver does not take.
extension DNSPolicy {
  private static let file = "/etc/resolv.conf"
  /// As many as the platform's own resolver looks at (resolv.conf(5)).
  private static let limit = 3

  /// The name servers of now; none where the platform says nothing.
  static func system() -> DNSPolicy {
    DNSPolicy(servers: servers(in: (try? SmallFile.read(file, limit: 65_536)) ?? []))
  }

  static func servers(in text: [UInt8]) -> [Server] {
    let lines = text.split { $0 == UInt8(ascii: "\n") }
    let servers = lines.compactMap { line -> Server? in
      let words = line.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r") }
      guard words.count >= 2, words[0].elementsEqual("nameserver".utf8) else { return nil }
      let host = String(decoding: words[1], as: UTF8.self)
      return SocketAddress(literal: host, port: 53).map { _ in Server(host: host, port: 53) }
    }
    return Array(servers.prefix(limit))
  }
}
