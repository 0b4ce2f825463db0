// SPDX-License-Identifier: Apache-2.0
import RstreamWire

extension TunnelProperties {
  /// Where others reach the tunnel, in the form every official client prints; nil when there is nothing to tell it by.
  var forwardingAddress: String? {
    if let host = publishedHost {
      switch self.protocol {
      case "http": return "https://\(host)"
      case "webtty": return "https://\(host) (webtty)"
      case "tls", "tcp", "dtls", "quic": return "\(host) (\(self.protocol ?? ""))"
      default: return host
      }
    }
    for candidate in [name, id] {
      if let text = candidate.map(trimmed), !text.isEmpty { return "rstrm://\(text) (unpublished)" }
    }
    return nil
  }

  private var publishedHost: String? {
    if let hostname = hostname.map(trimmed), !hostname.isEmpty {
      let port = self.port ?? 443
      let showsPort = self.protocol == "tls" || self.protocol == "tcp" || port != 443
      return showsPort ? "\(hostname):\(port)" : hostname
    }
    guard let host = host.map(trimmed), !host.isEmpty else { return nil }
    return host
  }
}
