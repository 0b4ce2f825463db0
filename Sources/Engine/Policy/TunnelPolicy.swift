// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamWire

/// Which tunnels this engine offers, and what it fills in where a request says nothing.
struct TunnelPolicy: Sendable {
  let namespace: HostNamespace
  /// Whether `token_auth` could ever let anybody in.
  let canVerifyTokens: Bool
  /// Whether there are ports for published tcp tunnels, and which.
  let tcpPorts: PortRange?
  /// Whether there is a listener for published dtls tunnels.
  var hasDTLS = false
  /// Whether there is a listener for published quic tunnels.
  var hasQUIC = false

  /// The properties that a tunnel gets, except `id`, `creation_date`, and the address (see `announce`), or why it cannot
  /// be had. `label` becomes the host name of a published tunnel that asked for none.
  func effective(_ requested: TunnelProperties, label: String) throws(Refusal) -> TunnelProperties {
    var properties = requested
    properties.id = nil
    properties.creationDate = nil
    properties.host = nil
    try TunnelLimits.check(properties)
    try normalize(&properties)
    let isPublished = properties.publish ?? true
    properties.publish = isPublished
    if isPublished {
      properties.protocol = properties.protocol ?? "http"
      try checkPublished(&properties, label: label)
    } else {
      try checkPrivate(properties)
    }
    properties.type = properties.type ?? "bytestream"
    return properties
  }

  /// Fills in where a published tunnel is reached. `host` says both for clients that know nothing else.
  static func announce(_ properties: inout TunnelProperties, port: UInt16) {
    guard properties.publish == true, let hostname = properties.hostname else { return }
    properties.port = UInt32(port)
    properties.host = port == 443 && properties.protocol != "tcp" ? hostname : "\(hostname):\(port)"
  }

  /// Brings values that can be written in several ways into one form.
  private func normalize(_ properties: inout TunnelProperties) throws(Refusal) {
    if properties.name == "" { properties.name = nil }
    if let old = properties.httpUseTLS {
      guard properties.upstreamTLS == nil || properties.upstreamTLS == old else {
        throw .invalid("upstream_tls and its old name http_use_tls contradict each other.")
      }
      properties.upstreamTLS = old
    }
    var ranges: [String] = []
    for text in properties.trustedIPs {
      guard let range = IPRange(text)?.text else {
        throw .invalid("trusted_ips: every element must be an IP address or a CIDR range.")
      }
      if !ranges.contains(range) { ranges.append(range) }
    }
    properties.trustedIPs = ranges
    guard properties.geoip.isEmpty else {
      throw .unavailable("geoip is not available on this engine: it has no database of countries.")
    }
    guard properties.mtlsAuth != true, properties.mtlsCACertPEM ?? "" == "" else {
      throw .unavailable("mtls_auth is not available on this engine.")
    }
  }

  // MARK: - Private tunnels

  private func checkPrivate(_ properties: TunnelProperties) throws(Refusal) {
    switch properties.protocol {
    case nil, "http", "tls", "webtty": break
    case "tcp": throw .invalid("A tunnel with protocol tcp has to be published.")
    case "dtls", "quic": throw .invalid("A private tunnel cannot have protocol dtls or quic.")
    default: throw .unknownProtocol
    }
    if properties.type == "datagram", properties.protocol == "tls" {
      throw .invalid("A tls tunnel has type bytestream.")
    }
    let present = [
      ("hostname", properties.hostname != nil), ("port", properties.port != nil),
      ("http_version", properties.httpVersion != nil), ("token_auth", properties.tokenAuth == true),
      ("rstream_auth", properties.rstreamAuth == true), ("challenge_mode", properties.challengeMode == true),
    ].filter(\.1).map(\.0)
    guard present.isEmpty else {
      throw .invalid("A private tunnel cannot have \(present.joined(separator: ", ")): publish it or leave these out.")
    }
  }

  // MARK: - Published tunnels

  private func checkPublished(_ properties: inout TunnelProperties, label: String) throws(Refusal) {
    if properties.protocol != "tcp" {
      guard properties.port == nil else { throw .invalid("A published port requires protocol tcp.") }
    }
    switch properties.protocol {
    case "http": try checkHTTP(&properties)
    case "tls": try checkTLS(&properties)
    case "tcp": return try checkTCP(&properties)
    case "dtls": try checkDTLS(&properties)
    case "quic": try checkQUIC(&properties)
    case "webtty": throw .unavailable("Protocol webtty is not available on this engine.")
    default: throw .unknownProtocol
    }
    guard let requested = properties.hostname, requested != "" else {
      properties.hostname = namespace.fullName(of: label)
      return
    }
    guard let name = namespace.fullName(of: requested) else {
      throw .invalid(
        "The hostname is not one of this engine's: ask for a label of letters, digits and inner hyphens, "
          + "or for <label>.t.\(namespace.engineHost).")
    }
    properties.hostname = name
  }

  private func checkHTTP(_ properties: inout TunnelProperties) throws(Refusal) {
    try TunnelPolicy.refuse("http", TunnelPolicy.tlsOptions(properties))
    if properties.upstreamTLS == true {
      guard properties.httpVersion == nil else {
        throw .invalid("upstream_tls negotiates the HTTP version: leave http_version out.")
      }
    } else {
      switch properties.httpVersion {
      case nil: properties.httpVersion = "http/1.1"
      case "http/1.1": break
      case "h2c", "h2", "h3":
        throw .unavailable(
          "http_version \(properties.httpVersion ?? "") is not available on this engine; use http/1.1.")
      default: throw .invalid("http_version must be http/1.1, h2c or h3.")
      }
    }
    if properties.type == "datagram" { throw .invalid("An http tunnel with this http_version has type bytestream.") }
    guard properties.rstreamAuth != true else { throw .unavailable("rstream_auth is not available on this engine.") }
    guard properties.challengeMode != true else {
      throw .unavailable("challenge_mode is not available on this engine.")
    }
    guard properties.tokenAuth != true || canVerifyTokens else {
      throw .unavailable("token_auth is not available: this engine is configured with neither tokens nor a JWT secret.")
    }
  }

  private func checkTLS(_ properties: inout TunnelProperties) throws(Refusal) {
    try TunnelPolicy.refuse("tls", TunnelPolicy.httpOptions(properties))
    if properties.type == "datagram" { throw .invalid("A tls tunnel has type bytestream.") }
    properties.tlsMode = properties.tlsMode ?? "terminated"
    switch properties.tlsMode {
    case "terminated": break
    case "passthrough":
      let excluded = [
        ("upstream_tls", properties.upstreamTLS == true), ("tls_min_version", properties.tlsMinVersion != nil),
        ("tls_ciphers", !properties.tlsCiphers.isEmpty),
      ]
      let present = excluded.filter(\.1).map(\.0)
      guard present.isEmpty else {
        throw .invalid(
          "tls_mode passthrough leaves TLS to the tunnel's owner: leave \(present.joined(separator: ", ")) out.")
      }
    default: throw .invalid("tls_mode must be terminated or passthrough.")
    }
    guard [nil, "tls1.2", "tls1.3"].contains(properties.tlsMinVersion) else {
      throw .invalid("tls_min_version must be tls1.2 or tls1.3.")
    }
  }

  private func checkDTLS(_ properties: inout TunnelProperties) throws(Refusal) {
    try TunnelPolicy.refuse(
      "dtls",
      TunnelPolicy.tlsOptions(properties).filter { $0.name != "tls_alpns" } + TunnelPolicy.httpOptions(properties))
    if properties.type == "bytestream" { throw .invalid("A dtls tunnel has type datagram.") }
    guard hasDTLS else {
      throw .unavailable("Protocol dtls is not available on this engine: dtls.enabled is not set.")
    }
    properties.type = "datagram"
  }

  private func checkQUIC(_ properties: inout TunnelProperties) throws(Refusal) {
    try TunnelPolicy.refuse(
      "quic",
      TunnelPolicy.tlsOptions(properties).filter { $0.name != "tls_alpns" } + TunnelPolicy.httpOptions(properties))
    if properties.type == "bytestream" { throw .invalid("A quic tunnel has type datagram.") }
    guard properties.upstreamTLS != false else {
      throw .invalid(
        "The service behind a quic tunnel speaks QUIC, which is never without TLS: leave upstream_tls out.")
    }
    guard hasQUIC else {
      throw .unavailable("Protocol quic is not available on this engine: quic.enabled is false.")
    }
    properties.type = "datagram"
  }

  private func checkTCP(_ properties: inout TunnelProperties) throws(Refusal) {
    // Presence counts here, even of false.
    let more = [
      ("hostname", properties.hostname != nil), ("mtls_auth", properties.mtlsAuth != nil),
      ("upstream_tls", properties.upstreamTLS != nil),
      ("datagram_guaranteed_delivery", properties.datagramGuaranteedDelivery != nil),
      ("token_auth", properties.tokenAuth != nil), ("rstream_auth", properties.rstreamAuth != nil),
      ("challenge_mode", properties.challengeMode != nil),
    ]
    try TunnelPolicy.refuse(
      "tcp", TunnelPolicy.tlsOptions(properties) + TunnelPolicy.httpOptions(properties) + more)
    if properties.type == "datagram" { throw .invalid("A tcp tunnel has type bytestream.") }
    guard let tcpPorts else {
      throw .unavailable("Published TCP tunnels are not available on this engine: it has no tcp.port_range.")
    }
    if let port = properties.port {
      guard let port = UInt16(exactly: port), port > 0 else { throw .invalid("port must be from 1 to 65535.") }
      guard tcpPorts.contains(port) else {
        throw .invalid("Port \(port) is not one of this engine's, which are \(tcpPorts.first) to \(tcpPorts.last).")
      }
    }
    properties.hostname = namespace.engineHost
  }

  // MARK: - What belongs to which protocol

  private typealias Presence = (name: String, isPresent: Bool)

  private static func refuse(_ name: String, _ options: [Presence]) throws(Refusal) {
    var present: [String] = []
    for option in options where option.isPresent && !present.contains(option.name) { present.append(option.name) }
    guard present.isEmpty else {
      throw .invalid("A tunnel with protocol \(name) cannot have \(present.joined(separator: ", ")): leave them out.")
    }
  }

  private static func tlsOptions(_ properties: TunnelProperties) -> [Presence] {
    [
      ("tls_mode", properties.tlsMode != nil), ("tls_alpns", !properties.tlsALPNs.isEmpty),
      ("tls_min_version", properties.tlsMinVersion != nil), ("tls_ciphers", !properties.tlsCiphers.isEmpty),
    ]
  }

  private static func httpOptions(_ properties: TunnelProperties) -> [Presence] {
    [
      ("http_version", properties.httpVersion != nil), ("token_auth", properties.tokenAuth == true),
      ("rstream_auth", properties.rstreamAuth == true), ("challenge_mode", properties.challengeMode == true),
    ]
  }
}

extension Refusal {
  static func invalid(_ message: String) -> Refusal { Refusal(.invalidRequest, message) }
  static func unavailable(_ message: String) -> Refusal { Refusal(.featureNotAvailable, message) }
  static var unknownProtocol: Refusal { invalid("protocol must be http, tls, tcp, dtls, quic or webtty.") }
}
