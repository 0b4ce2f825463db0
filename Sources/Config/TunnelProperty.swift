// SPDX-License-Identifier: Apache-2.0

/// The names of tunnel properties and how each is read from text and written as text.
enum TunnelProperty: String, CaseIterable {
  case name
  case type
  case publish
  case tunnelProtocol = "protocol"
  case geoip
  case trustedIPs = "trusted_ips"
  case hostname
  case port
  case tlsMode = "tls_mode"
  case tlsALPNs = "tls_alpns"
  case tlsMinVersion = "tls_min_version"
  case tlsCiphers = "tls_ciphers"
  case mtlsAuth = "mtls_auth"
  case httpVersion = "http_version"
  case httpUseTLS = "http_use_tls"
  case upstreamTLS = "upstream_tls"
  case datagramGuaranteedDelivery = "datagram_guaranteed_delivery"
  case allowCrossRegionRouting = "allow_cross_region_routing"
  case tokenAuth = "token_auth"
  case rstreamAuth = "rstream_auth"
  case challengeMode = "challenge_mode"
  case id
  case creationDate = "creation_date"
  case host

  var isReadOnly: Bool {
    switch self {
    case .id, .creationDate, .host: true
    default: false
    }
  }

  func set(_ value: String, _ options: inout TunnelOptions) throws(ConfigError) {
    switch storage {
    case .text(let path, let choices):
      let text = value.trimmed()
      guard !text.isEmpty else { throw invalid("the value is empty") }
      guard choices.isEmpty || choices.contains(text) else {
        throw invalid("\(value.quoted()) is not one of \(choices.joined(separator: ", "))")
      }
      options[keyPath: path] = text
    case .flag(let path):
      guard value == "true" || value == "false" else { throw invalid("\(value.quoted()) is neither true nor false") }
      options[keyPath: path] = value == "true"
    case .list(let path):
      let elements = value.listElements()
      guard !elements.isEmpty else { throw invalid("the list is empty") }
      for element in elements { try check(element) }
      options[keyPath: path] = elements
    case .port(let path):
      guard value.utf8.count <= 5, let number = value.wholeNumber(), (1...65_535).contains(number) else {
        throw invalid("\(value.quoted()) is not a port from 1 to 65535")
      }
      options[keyPath: path] = UInt32(number)
    }
  }

  func unset(_ options: inout TunnelOptions) {
    switch storage {
    case .text(let path, _): options[keyPath: path] = nil
    case .flag(let path): options[keyPath: path] = nil
    case .list(let path): options[keyPath: path] = []
    case .port(let path): options[keyPath: path] = nil
    }
  }

  func text(_ options: TunnelOptions) -> String? {
    switch storage {
    case .text(let path, _): options[keyPath: path]
    case .flag(let path): options[keyPath: path].map { $0 ? "true" : "false" }
    case .list(let path): options[keyPath: path].isEmpty ? nil : options[keyPath: path].joined(separator: ",")
    case .port(let path): options[keyPath: path].map { String($0) }
    }
  }

  private enum Storage {
    case text(WritableKeyPath<TunnelOptions, String?>, choices: [String] = [])
    case flag(WritableKeyPath<TunnelOptions, Bool?>)
    case list(WritableKeyPath<TunnelOptions, [String]>)
    case port(WritableKeyPath<TunnelOptions, UInt32?>)
  }

  private var storage: Storage {
    switch self {
    case .name: .text(\.name)
    case .type: .text(\.type, choices: ["bytestream", "datagram"])
    case .publish: .flag(\.publish)
    case .tunnelProtocol: .text(\.tunnelProtocol, choices: ["http", "tls", "tcp", "dtls", "quic", "webtty"])
    case .geoip: .list(\.geoip)
    case .trustedIPs: .list(\.trustedIPs)
    case .hostname: .text(\.hostname)
    case .port: .port(\.port)
    case .tlsMode: .text(\.tlsMode, choices: ["terminated", "passthrough"])
    case .tlsALPNs: .list(\.tlsALPNs)
    case .tlsMinVersion: .text(\.tlsMinVersion, choices: ["tls1.2", "tls1.3"])
    case .tlsCiphers: .list(\.tlsCiphers)
    case .mtlsAuth: .flag(\.mtlsAuth)
    case .httpVersion: .text(\.httpVersion, choices: ["http/1.1", "h2c", "h3", "h2"])
    case .httpUseTLS: .flag(\.httpUseTLS)
    case .upstreamTLS: .flag(\.upstreamTLS)
    case .datagramGuaranteedDelivery: .flag(\.datagramGuaranteedDelivery)
    case .allowCrossRegionRouting: .flag(\.allowCrossRegionRouting)
    case .tokenAuth: .flag(\.tokenAuth)
    case .rstreamAuth: .flag(\.rstreamAuth)
    case .challengeMode: .flag(\.challengeMode)
    case .id: .text(\.id)
    case .creationDate: .text(\.creationDate)
    case .host: .text(\.host)
    }
  }

  /// Elements of lists that have a form of their own.
  private func check(_ element: String) throws(ConfigError) {
    switch self {
    case .trustedIPs:
      guard IPRange(element) != nil else { throw invalid("\(element.quoted()) is not an IP address or CIDR range") }
    case .geoip:
      guard element.utf8.count == 2, element.utf8.allSatisfy({ isAlphanumeric($0) && !isDigit($0) }) else {
        throw invalid("\(element.quoted()) is not a country code of two letters")
      }
    case .tlsALPNs:
      guard element.utf8.count <= 255 else { throw invalid("an ALPN protocol has at most 255 bytes") }
    default:
      break
    }
  }

  private func invalid(_ message: String) -> ConfigError { ConfigError(.invalidTunnel, message) }
}
