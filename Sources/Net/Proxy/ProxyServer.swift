// SPDX-License-Identifier: Apache-2.0

/// A proxy that opens TCP connections on behalf of its clients, and how it wants to be spoken to.
public struct ProxyServer {
  public enum Kind: Equatable, Sendable {
    /// CONNECT of RFC 9110 9.3.6, in clear text or inside TLS.
    case http
    case https
    /// RFC 1928.
    case socks5
  }

  public struct Credentials: Equatable, Sendable {
    public var username: String
    public var password: String

    public init(username: String, password: String) {
      self.username = username
      self.password = password
    }
  }

  public var kind: Kind
  public var host: String
  public var port: UInt16
  public var credentials: Credentials?
  /// Fields of the CONNECT request; they replace those of the same name that it would have. HTTP proxies only.
  public var headers: [(name: String, value: String)] = []
  /// What the TLS connection to an https proxy verifies; nil for other proxies.
  public var tls: TLSContext?
  /// How it carries UDP over HTTP/3, or why it cannot; nothing where nobody is going to ask for that.
  public var connectUDP: Result<ConnectUDPRequest, Failure>?
  /// Name to verify instead of `host`.
  public var serverName: String?

  public init(_ kind: Kind, host: String, port: UInt16) {
    self.kind = kind
    self.host = host
    self.port = port
  }

  var endpoint: ServerEndpoint { ServerEndpoint(host: host, port: port, serverName: serverName) }

  func negotiation(to target: ProxyTarget) throws(Failure) -> any ProxyNegotiation {
    switch kind {
    case .http, .https: HTTPConnect(self, to: target)
    case .socks5: try SOCKS5Request(.connect, self, to: target)
    }
  }

  /// The proxy in messages: never with credentials.
  public var name: String { "\(kind) proxy \(authority(host, port))" }
}

/// host:port with IPv6 addresses in brackets.
func authority(_ host: String, _ port: UInt16) -> String {
  host.utf8.contains(0x3A) ? "[\(host)]:\(port)" : "\(host):\(port)"
}

/// Where a proxy is asked to connect to: a name for the proxy to look up, or an address.
struct ProxyTarget: Equatable {
  let host: String
  let port: UInt16
  var authority: String { RstreamNet.authority(host, port) }
}
