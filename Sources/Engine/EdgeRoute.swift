// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// Where a connection to the TLS port goes, decided from its ClientHello.
enum EdgeRoute {
  /// ALPN name of the rstream protocol.
  static let wireProtocol = "rstrm/1"

  /// Agents and dialers.
  case wire
  /// The engine's HTTP API.
  case api
  /// The same, at the host where clients are asked for a certificate.
  case mtlsAPI
  /// HTTP of published tunnels: which one, each request's Host says.
  case http
  case terminated(Tunnel)
  case passthrough(Tunnel)
  /// The handshake is refused.
  case refused(TLSAlert)

  init(_ hello: ClientHello, _ engine: Engine) {
    guard let name = hello.serverName, name != engine.settings.host else {
      // Who connects to an address sends no name.
      self = hello.protocols?.contains(Self.wireProtocol) == true ? .wire : .api
      return
    }
    if name == engine.settings.mtlsAPIHost {
      self = .mtlsAPI
      return
    }
    guard let tunnel = engine.registry.tunnel(hostname: name) else {
      self = engine.policy.namespace.contains(name) ? .http : .refused(.unrecognizedName)
      return
    }
    if tunnel.carriesPackets {
      self = .refused(.unrecognizedName)
    } else if !tunnel.terminatesTLS {
      self = tunnel.properties.protocol == "tls" ? .passthrough(tunnel) : .http
    } else if !tunnel.properties.tlsALPNs.isEmpty, hello.protocols == nil {
      // OpenSSL would let a client that offers nothing pass.
      self = .refused(.noApplicationProtocol)
    } else {
      self = .terminated(tunnel)
    }
  }
}

/// A fatal alert (RFC 8446, section 6) for a client whose ClientHello was read here and not by OpenSSL.
enum TLSAlert: UInt8 {
  case accessDenied = 49
  case internalError = 80
  case unrecognizedName = 112
  case noApplicationProtocol = 120

  /// Sends the alert and ends the connection.
  func send(over channel: ByteChannel) {
    channel.write([21, 3, 3, 0, 2, 2, rawValue])
    channel.close()
  }
}
