// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire

/// Turns the request for a tunnel into a tunnel, or says why not.
enum TunnelOpening {
  static func judge(_ requested: TunnelProperties, of owner: ControlSession, count: Int) -> Result<Tunnel, Refusal> {
    let engine = owner.engine
    guard owner.grant.permits(.createTunnels) else {
      return .failure(Refusal(.unauthorized, "The token does not permit tunnels."))
    }
    guard count < engine.settings.maximumTunnelsPerClient else {
      return .failure(
        Refusal(.capacityExhausted, "The client has \(count) tunnels open, which is this engine's limit."))
    }
    var effective = requested
    let id = RandomHex.text(bytes: 12)
    effective.id = id
    effective.type = "bytestream"
    if effective.publish == nil { effective.publish = true }
    var port: PublishedTCP?
    if effective.publish == true {
      if effective.protocol == nil { effective.protocol = "http" }
      if effective.protocol == "tcp" {
        switch PublishedTCP.open(effective.port.flatMap { UInt16(exactly: $0) }, engine) {
        case .success(let opened): port = opened
        case .failure(let refusal): return .failure(refusal)
        }
        effective.hostname = engine.settings.host
        effective.port = UInt32(port?.port ?? 0)
      } else {
        if effective.hostname == nil { effective.hostname = "\(id).t.\(engine.settings.host)" }
        effective.port = UInt32(engine.publicPort)
      }
      effective.host = "\(effective.hostname ?? ""):\(effective.port ?? 0)"
    }
    let tunnel = Tunnel(id, effective, owner: owner, port: port)
    if effective.protocol == "tls", effective.tlsMode != "passthrough", PublishedTLS.context(of: tunnel, engine) == nil
    {
      return .failure(Refusal(.invalidRequest, "The engine has none of these cipher suites."))
    }
    return .success(tunnel)
  }
}
