// SPDX-License-Identifier: Apache-2.0

/// The DNS record that says how a server's ClientHello is encrypted: SVCB for the engine's tunnel protocol, HTTPS for its
/// API (RFC 9460).
struct ECHQuestion: Hashable {
  private static let tunnelProtocol = "rstrm/1"

  let name: String
  let type: DNSRecordType
  /// A record counts that is for one of these.
  let protocols: [String]

  /// Nothing for servers without a name in the DNS.
  init?(_ endpoint: ServerEndpoint, protocols: [String]) {
    let host = HostNameText.normalized(endpoint.serverName)
    guard !host.isEmpty, Resolver.knownAddresses(host, 0) == nil else { return nil }
    self.protocols = protocols
    if protocols.contains(Self.tunnelProtocol) {
      type = .svcb
      name = "_\(endpoint.port)._rstream.\(Self.cluster(of: host))"
    } else {
      type = .https
      name = endpoint.port == 443 ? host : "_\(endpoint.port)._https.\(host)"
    }
  }

  /// The engine's cluster, of which `host` may be a tunnel (label.t.cluster) or a project (8 hexadecimal digits).
  private static func cluster(of host: String) -> String {
    let labels = host.split(separator: ".", omittingEmptySubsequences: false)
    if labels.count >= 3, labels[1] == "t" { return labels.dropFirst(2).joined(separator: ".") }
    guard labels.count >= 2, let first = labels.first?.utf8, first.count == 8, first.allSatisfy(isHexadecimal) else {
      return host
    }
    return labels.dropFirst().joined(separator: ".")
  }

  private static func isHexadecimal(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
  }
}
