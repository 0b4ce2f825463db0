// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamNet

extension NetworkPath {
  /// The path that settings describe.
  /// - Parameters:
  ///   - caFile: certificates that a name server asked over TLS may prove itself with, besides the system's
  ///   - mode: what the proxy may be asked to carry
  init(_ network: NetworkSettings, trusting caFile: String?, for mode: TransportMode) throws(Failure) {
    self.init()
    sockets.localAddress = network.localAddress
    sockets.interface = network.interface
    sockets.multipath = network.multipath
    sockets.races = network.racesAddresses
    sockets.family =
      switch network.family {
      case .any: .any
      case .v4: .v4
      case .v6: .v6
      }
    dns = try network.dns.map { (dns) throws(Failure) in try DNSPolicy(dns, trusting: caFile) }
    proxy = try network.proxy.map { (proxy) throws(Failure) in try ProxyServer(proxy, for: mode) }
  }
}

extension DNSPolicy {
  fileprivate convenience init(_ dns: NetworkSettings.DNS, trusting caFile: String?) throws(Failure) {
    var security: TLSContext?
    if dns.securityName != nil {
      var settings = TLSContext.ClientSettings()
      settings.caFile = caFile
      settings.allowsTLS12 = true
      settings.alpn = ["dot"]
      security = try TLSContext(client: settings)
    }
    self.init(
      servers: [Server(host: dns.host, port: dns.port)], security: security, securityName: dns.securityName ?? "",
      requiresAuthenticated: dns.requiresAuthenticated)
  }
}

extension ProxyServer {
  fileprivate init(_ proxy: NetworkSettings.Proxy, for mode: TransportMode) throws(Failure) {
    let kind: Kind =
      switch proxy.url.scheme {
      case .http: .http
      case .https: .https
      case .socks5: .socks5
      }
    self.init(kind, host: proxy.url.host, port: proxy.url.port)
    credentials = proxy.username.map { Credentials(username: $0, password: proxy.password) }
    headers = proxy.headers.headers.map { ($0.name, $0.value) }
    serverName = proxy.serverName
    var settings = TLSContext.ClientSettings()
    settings.caFile = proxy.caFile
    settings.skipsVerification = proxy.insecureSkipVerify
    if mode != .tls { connectUDP = Self.connectUDP(proxy, settings) }
    guard kind == .https else { return }
    settings.allowsTLS12 = true
    settings.alpn = ["http/1.1"]
    tls = try TLSContext(client: settings)
  }

  private static func connectUDP(
    _ proxy: NetworkSettings.Proxy, _ settings: TLSContext.ClientSettings
  ) -> Result<ConnectUDPRequest, Failure>? {
    do {
      guard let template = try proxy.connectUDP() else { return nil }
      return .success(ConnectUDPRequest(credentials: try QUICCredentials(client: settings), path: template.path))
    } catch let error as ConfigError {
      return .failure(Failure(error))
    } catch {
      return (error as? Failure).map { .failure($0) }
    }
  }
}
