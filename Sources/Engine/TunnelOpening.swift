// SPDX-License-Identifier: Apache-2.0
import RstreamWire

/// Turns the request for a tunnel into a tunnel, or says why not.
enum TunnelOpening {
  /// - Parameter count: how many tunnels the client has already
  static func open(_ requested: TunnelProperties, for owner: ControlSession, count: Int) throws(Refusal) -> Tunnel {
    let engine = owner.engine
    guard owner.grant.permits(.createTunnels) else {
      throw Refusal(.unauthorized, "The token does not permit opening tunnels.")
    }
    guard count < engine.settings.maximumTunnelsPerClient else {
      throw Refusal(.capacityExhausted, "The client has \(count) tunnels open, which is all that this engine allows.")
    }
    guard let permitted = owner.grant.properties(for: requested) else {
      throw Refusal(.unauthorized, "The token permits opening tunnels only with other properties.")
    }
    var properties = try engine.policy.effective(permitted, label: RandomHex.text(bytes: 6))
    let id = RandomHex.text(bytes: 12)
    properties.id = id
    properties.creationDate = Clock.now

    var port: PublishedTCP?
    if properties.publish == true {
      if properties.protocol == "tcp" {
        let opened = try PublishedTCP.open(properties.port.flatMap { UInt16(exactly: $0) }, engine)
        TunnelPolicy.announce(&properties, port: opened.port)
        port = opened
      } else {
        if let hostname = properties.hostname, engine.registry.tunnel(hostname: hostname) != nil {
          throw Refusal(.resourceConflict, "Hostname is already in use.")
        }
        let port =
          switch properties.protocol {
          case "dtls": engine.dtlsPort
          case "quic": engine.quicPort
          default: engine.publicPort
          }
        TunnelPolicy.announce(&properties, port: port)
      }
    }
    let tunnel = Tunnel(id, properties, owner: owner, port: port)
    if tunnel.terminatesTLS, PublishedTLS.context(of: tunnel, engine) == nil {
      throw Refusal(.invalidRequest, "tls_ciphers: none of these is known to this engine.")
    }
    return tunnel
  }
}
