// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamNet
import RstreamWire

/// A tunnel that a client has open.
final class Tunnel {
  let id: String
  /// As the client was told: with everything that the engine filled in.
  let properties: TunnelProperties
  let owner: ControlSession
  /// Addresses that may use the published tunnel; empty: all.
  private let trusted: [IPRange]
  /// The published port of a tcp tunnel.
  private let port: PublishedTCP?
  /// False as soon as no new stream can be opened.
  private(set) var isOpen = true
  /// TLS settings of a terminated tls tunnel, made when they are needed first.
  var tls = TunnelTLS()

  init(_ id: String, _ properties: TunnelProperties, owner: ControlSession, port: PublishedTCP?) {
    self.id = id
    self.properties = properties
    self.owner = owner
    self.port = port
    trusted = properties.trustedIPs.compactMap { IPRange($0) }
    port?.tunnel = self
  }

  /// The public host name of a published tunnel that is found by one: not that of a tcp tunnel.
  var routedHostname: String? {
    properties.publish == true && properties.protocol != "tcp" ? properties.hostname : nil
  }

  /// Whether the tunnel carries packets, and not byte streams.
  var carriesPackets: Bool { properties.type == "datagram" }

  /// Whether packets may be carried as QUIC datagrams, which the network may lose.
  var takesDatagrams: Bool { carriesPackets && properties.datagramGuaranteedDelivery != true }

  /// Whether the engine does TLS for the tunnel's consumers and hands on what is inside.
  var terminatesTLS: Bool {
    properties.publish == true && properties.protocol == "tls" && properties.tlsMode != "passthrough"
  }

  /// Whether a consumer at this address may use the tunnel.
  func admits(_ peer: SocketAddress?) -> Bool {
    if properties.trustedIPs.isEmpty { return true }
    guard let text = peer?.hostText else { return false }
    return trusted.contains { $0.contains(text: text) }
  }

  /// No new streams from now on. Established ones go on.
  func close() {
    isOpen = false
    port?.close()
  }
}
