// SPDX-License-Identifier: Apache-2.0

/// The properties of a tunnel under the names of rstream/tunnel.h: what a caller asks for, or what an engine confirmed.
/// An unset value is not the same as false or empty.
public struct TunnelOptions: Equatable, Sendable {
  public var name: String?
  public var type: String?
  public var publish: Bool?
  public var tunnelProtocol: String?
  public var labels: [String: String] = [:]
  public var geoip: [String] = []
  public var trustedIPs: [String] = []
  public var hostname: String?
  public var port: UInt32?
  public var tlsMode: String?
  public var tlsALPNs: [String] = []
  public var tlsMinVersion: String?
  public var tlsCiphers: [String] = []
  public var mtlsAuth: Bool?
  public var httpVersion: String?
  public var httpUseTLS: Bool?
  public var upstreamTLS: Bool?
  public var datagramGuaranteedDelivery: Bool?
  public var allowCrossRegionRouting: Bool?
  public var tokenAuth: Bool?
  public var rstreamAuth: Bool?
  public var challengeMode: Bool?

  // The engine's to fill in.
  public var id: String?
  /// RFC 3339.
  public var creationDate: String?
  public var host: String?

  public init() {}

  /// Sets one property by name; nothing as value unsets it. Lists are separated by commas.
  public mutating func set(_ name: String, _ value: String?) throws(ConfigError) {
    if let key = TunnelOptions.labelKey(name) {
      guard !key.isEmpty else { throw TunnelOptions.invalid("labels.<key>: the key is empty") }
      labels[key] = value
      return
    }
    guard let property = TunnelProperty(rawValue: name) else {
      let known = TunnelProperty.allCases.filter { !$0.isReadOnly }.map(\.rawValue) + ["labels.<key>"]
      throw TunnelOptions.invalid(
        "unknown property \(name.quoted()); known are \(known.joined(separator: ", "))")
    }
    guard !property.isReadOnly else { throw TunnelOptions.invalid("\(name) is filled in by the engine; do not set it") }
    guard let value else { return property.unset(&self) }
    do { try property.set(value, &self) } catch { throw error.at(name) }
  }

  /// A property as text, lists separated by commas; nothing when it is unset or unknown.
  public func get(_ name: String) -> String? {
    if let key = TunnelOptions.labelKey(name) { return labels[key] }
    return TunnelProperty(rawValue: name)?.text(self)
  }

  /// Names of the properties that are set.
  public var names: [String] {
    let properties = TunnelProperty.allCases.filter { $0.text(self) != nil }
    return properties.map(\.rawValue) + labels.keys.map { "labels.\($0)" }.sorted()
  }

  private static func labelKey(_ name: String) -> String? {
    name.hasPrefix("labels.") ? String(name.dropFirst(7)) : nil
  }

  private static func invalid(_ message: String) -> ConfigError { ConfigError(.invalidTunnel, message) }
}

// MARK: - What can never work

extension TunnelOptions {
  /// Refuses combinations that no engine accepts. All else is the engine's to decide.
  public func validate() throws(ConfigError) {
    if tunnelProtocol == "tcp" {
      try validateTCP()
    } else if port != nil {
      throw TunnelOptions.invalid("port: a published port requires protocol tcp; set protocol to tcp or leave port out")
    }
    try validateDatagrams()
  }

  private func validateDatagrams() throws(ConfigError) {
    let isDatagramProtocol = tunnelProtocol.map { ["dtls", "quic"].contains($0) } ?? false
    if type == "bytestream", isDatagramProtocol || httpVersion == "h3" {
      let what = isDatagramProtocol ? "protocol \(tunnelProtocol ?? "")" : "http_version h3"
      throw TunnelOptions.invalid("type: \(what) carries packets; leave type out or set it to datagram")
    }
    if type == "datagram", publish == true, !isDatagramProtocol, tunnelProtocol != "http" {
      throw TunnelOptions.invalid(
        "publish: packets are published with protocol dtls, quic or http; set one, or set publish to false")
    }
  }

  private func validateTCP() throws(ConfigError) {
    if publish == false {
      throw TunnelOptions.invalid("publish: protocol tcp is for published tunnels; leave publish out or set it to true")
    }
    if type == "datagram" {
      throw TunnelOptions.invalid("type: protocol tcp carries byte streams; leave type out or set it to bytestream")
    }
    let excluded: [TunnelProperty] = [
      .hostname, .tlsMode, .tlsALPNs, .tlsMinVersion, .tlsCiphers, .mtlsAuth, .httpVersion, .httpUseTLS, .upstreamTLS,
      .datagramGuaranteedDelivery, .tokenAuth, .rstreamAuth, .challengeMode,
    ]
    let present = excluded.filter { $0.text(self) != nil }.map(\.rawValue)
    guard present.isEmpty else {
      throw TunnelOptions.invalid(
        "\(present.joined(separator: ", ")): not available with protocol tcp, not even as false; leave out")
    }
  }

  /// The options as they are sent: what protocol tcp implies is written out.
  public func normalized() -> TunnelOptions {
    var result = self
    if tunnelProtocol == "tcp" {
      result.type = "bytestream"
      result.publish = true
    }
    return result
  }
}
