// SPDX-License-Identifier: Apache-2.0

/// How a client's connections leave the machine: the settings transport.bind, ipFamily, mptcp, dns and proxy, checked.
public struct NetworkSettings: Equatable, Sendable {
  public enum Family: Sendable { case any, v4, v6 }

  /// Name servers instead of the platform's.
  public struct DNS: Equatable, Sendable {
    public var host: String
    public var port: UInt16
    /// The name the server proves over TLS; nothing for plain DNS.
    public var securityName: String?
    public var requiresAuthenticated: Bool
  }

  public struct Proxy: Equatable, Sendable {
    public var url: ProxyURL
    public var username: String?
    public var password: String
    public var headers: HeaderList
    public var caFile: String?
    public var serverName: String?
    public var insecureSkipVerify: Bool

    /// How QUIC asks this proxy to carry UDP: nothing for SOCKS5, which has a way of its own.
    public func connectUDP() throws(ConfigError) -> ConnectUDPTemplate? {
      guard url.scheme != .socks5 else { return nil }
      let template = try ConnectUDPTemplate(url)
      guard username == nil, headers.headers.isEmpty else {
        throw ConfigError(.invalidConfig, "UDP over this proxy: CONNECT-UDP takes no credentials and no headers")
      }
      return template
    }
  }

  public var localAddress: String?
  public var interface: String?
  public var family = Family.any
  public var multipath = false
  public var racesAddresses = true
  public var dns: DNS?
  public var proxy: Proxy?
}

extension ClientSettings {
  /// Puts the network settings together and refuses those that cannot work. `lookup` reads the environment, for
  /// transport.proxy.fromEnvironment; without an engine nothing is looked up there.
  public func network(_ lookup: (String) -> String?) throws(ConfigError) -> NetworkSettings {
    var network = NetworkSettings()
    // The mode says which of address and interface counts; without one it is the address.
    if text(.bindMode) == "interface" {
      network.interface = text(.bindInterface)?.trimmed()
    } else {
      network.localAddress = text(.bindAddress)?.trimmed()
    }
    network.family =
      switch text(.ipFamily) {
      case "ipv4": .v4
      case "ipv6": .v6
      default: .any
      }
    network.multipath = flag(.mptcp)
    network.racesAddresses = flag(.racesAddresses)
    network.dns = try dns()
    network.proxy = try proxy(lookup)
    return network
  }

  // MARK: DNS

  private func dns() throws(ConfigError) -> NetworkSettings.DNS? {
    guard let override = text(.dnsOverride) else {
      if flag(.dnsTLS) { throw refusal(.dnsTLS, "DNS over TLS requires transport.dns.override") }
      if flag(.dnssec) { throw unverifiedResolver }
      return nil
    }
    guard let server = ResolverAddress(override) else {
      throw refusal(.dnsOverride, "\(override.quoted()) is not a name server; expected host, host:port or [IPv6]:port")
    }
    if flag(.dnssec), !flag(.dnsTLS) { throw unverifiedResolver }
    var name: String?
    if flag(.dnsTLS) {
      name = text(.dnsServerName)?.trimmed() ?? (server.isAddress ? nil : server.host)
      if name == nil {
        throw refusal(
          .dnsOverride,
          "DNS over TLS to an address requires transport.dns.serverName, the name in the server's certificate")
      }
    }
    return NetworkSettings.DNS(
      host: server.host, port: server.port ?? (name == nil ? 53 : 853), securityName: name,
      requiresAuthenticated: flag(.dnssec))
  }

  private var unverifiedResolver: ConfigError {
    refusal(
      .dnssec,
      "DNSSEC validation requires DNS over TLS with a verified resolver: set transport.dns.override and "
        + "transport.dns.tls")
  }

  // MARK: Proxy

  private func proxy(_ lookup: (String) -> String?) throws(ConfigError) -> NetworkSettings.Proxy? {
    try checkProxySettings()
    guard let url = try proxyURL(lookup) else { return nil }
    let tlsSetting = Key.all(in: "transport.proxy.tls").first { isGiven($0) }
    if let tlsSetting, url.scheme != .https {
      // Which proxy the environment names is not known when the settings are written.
      if !isFromEnvironment {
        throw refusal(
          tlsSetting,
          url.scheme == .http ? "cannot use TLS with an http:// proxy" : "a SOCKS5 proxy has no TLS; unset it")
      }
    }
    if url.scheme == .socks5, !proxyHeaders.headers.isEmpty, !isFromEnvironment {
      throw refusal(.proxyHeaders, "a SOCKS5 proxy takes no headers; unset it")
    }
    // The fields go before what the URL says.
    let username = text(.proxyUsername) ?? url.username
    let password = text(.proxyPassword) ?? url.password ?? ""
    if url.scheme == .socks5, (username?.utf8.count ?? 0) > 255 || password.utf8.count > 255 {
      throw refusal(.proxyUsername, "SOCKS5 takes user names and passwords of at most 255 bytes")
    }
    if url.scheme != .socks5, username?.utf8.contains(UInt8(ascii: ":")) == true {
      throw refusal(.proxyUsername, "a user name for an HTTP proxy cannot contain a colon")
    }
    let proxy = NetworkSettings.Proxy(
      url: url, username: username, password: password, headers: proxyHeaders, caFile: text(.proxyCAFile),
      serverName: text(.proxyServerName)?.trimmed(), insecureSkipVerify: flag(.proxyInsecureSkipVerify))
    if transportMode == .quic {
      do { _ = try proxy.connectUDP() } catch {
        throw error.at(isFromEnvironment ? "the proxy of the environment" : named(.proxyHTTP))
      }
    }
    return proxy
  }

  private var isFromEnvironment: Bool { text(.proxyHTTP) == nil && text(.proxySOCKS5) == nil }

  private func proxyURL(_ lookup: (String) -> String?) throws(ConfigError) -> ProxyURL? {
    if let text = text(.proxyHTTP) {
      return try placed(.proxyHTTP) { () throws(ConfigError) in try ProxyURL.http(text) }
    }
    if let text = text(.proxySOCKS5) {
      return try placed(.proxySOCKS5) { () throws(ConfigError) in try ProxyURL.socks5(text) }
    }
    guard flag(.proxyFromEnvironment), let engine else { return nil }
    return try ProxyEnvironment.proxy(for: engine, lookup)
  }

  private func checkProxySettings() throws(ConfigError) {
    if text(.proxyHTTP) != nil, text(.proxySOCKS5) != nil {
      throw refusal(.proxySOCKS5, "only one proxy transport can be configured, and transport.proxy.http is set as well")
    }
    guard (text(.proxyUsername) == nil) == (text(.proxyPassword) == nil) else {
      let key: Key = text(.proxyUsername) == nil ? .proxyPassword : .proxyUsername
      throw refusal(key, "a proxy's user name and password belong together, only one of them is set")
    }
    if let key = Key.all(in: "transport.proxy.tls").first(where: { isGiven($0) }) {
      guard !isFromEnvironment || flag(.proxyFromEnvironment) else {
        throw refusal(key, "TLS settings of a proxy, and no proxy: set transport.proxy.http or unset it")
      }
    }
  }

  private func isGiven(_ key: Key) -> Bool { value(key) != nil && value(key) != "false" }

  private func placed(_ key: Key, _ read: () throws(ConfigError) -> ProxyURL) throws(ConfigError) -> ProxyURL {
    do { return try read() } catch { throw error.at(named(key)) }
  }
}

/// host[:port] of a name server; an IPv6 address needs brackets only where a port follows.
struct ResolverAddress {
  let host: String
  let port: UInt16?
  let isAddress: Bool

  init?(_ text: String) {
    let trimmed = text.trimmed()
    if let address = IPLiteral(trimmed) {
      host = address.text
      port = nil
      isAddress = true
      return
    }
    guard let parts = HostAndPort(trimmed) else { return nil }
    if let given = parts.port {
      guard let number = portNumber(given), number > 0 else { return nil }
      port = number
    } else {
      port = nil
    }
    if let address = IPLiteral(parts.host), address.isV6 == parts.isBracketed {
      host = address.text
      isAddress = true
    } else {
      guard !parts.isBracketed, let name = HostName.normalized(parts.host) else { return nil }
      host = name
      isAddress = false
    }
  }
}
