// SPDX-License-Identifier: Apache-2.0

/// How a proxy is asked to carry UDP (RFC 9298).
public struct ConnectUDPRequest {
  /// For the QUIC connection to the proxy.
  public let credentials: QUICCredentials
  /// The path and query to ask for, for a host and a port.
  public let path: (String, UInt16) -> String

  public init(credentials: QUICCredentials, path: @escaping (String, UInt16) -> String) {
    self.credentials = credentials
    self.path = path
  }
}

/// Connects to a proxy over QUIC and asks it for a way to a target.
final class ConnectUDPOpening: ProxiedOpening {
  /// Datagrams that may wait: what the connection inside sends at once, and as much again.
  private static let datagramQueue = 128
  /// Takes a first packet of the connection inside, 1200 bytes, from the start; most paths carry it.
  private static let packetSize = 1350

  private var outgoing: OutgoingQUIC?
  private var tunnel: ConnectUDP?

  init(
    _ loop: Loop, _ proxy: ProxyServer, _ request: ConnectUDPRequest, to target: ProxyTarget, by path: NetworkPath,
    _ settings: QUICSettings, onStep: ((OutgoingConnection.Step) -> Void)?,
    _ completion: @escaping ProxiedPath.Completion
  ) {
    var settings = settings
    HTTP3Connection.admitStreams(&settings)
    settings.datagramQueue = Self.datagramQueue
    settings.largestPacket = Self.packetSize
    settings.discoversPacketSize = false
    var direct = path
    direct.proxy = nil
    let fields = ConnectUDP.fields(
      authority: authority(proxy.host, proxy.port), path: request.path(target.host, target.port))
    outgoing = OutgoingQUIC(
      loop, to: proxy.endpoint, by: direct, request.credentials, alpn: [HTTP3Connection.alpn], settings,
      timeout: settings.handshakeTimeout, onStep: onStep
    ) { [self] result in
      outgoing = nil
      switch result {
      case .success(let connection):
        let tunnel = ConnectUDP(over: connection, asking: fields) { [self] result in
          self.tunnel = nil
          completion(result)
        }
        self.tunnel = tunnel
        tunnel.start()
      case .failure(let failure): completion(.failure(failure))
      }
    }
  }

  func cancel() {
    outgoing?.cancel()
    outgoing = nil
    tunnel?.close()
    tunnel = nil
  }
}
