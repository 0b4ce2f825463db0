// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// Published dtls tunnels: one UDP port for all of them, where the name that a client asks for chooses the tunnel. Each
/// association is a packet channel of its tunnel.
final class PublishedDTLS {
  private let engine: Engine
  private var listener: DTLSListener?

  var port: UInt16 { listener?.address.port ?? 0 }

  init(_ engine: Engine, on address: SocketAddress) throws(Failure) {
    self.engine = engine
    guard let certificates = engine.certificates else {
      throw Failure(ErrorCode.invalidConfig, "listen on \(address) for DTLS: there is no certificate")
    }
    let context = try certificates.current().context { $0.isDatagram = true }
    listener = try DTLSListener(
      engine.loop, on: address, context, handshakeTimeout: engine.handshakeTimeout,
      admit: { [weak engine] in engine?.connections.admit() },
      choose: { [weak self] name, offersProtocols, peer in
        self?.choose(name, offersProtocols, peer) ?? .refused(TLSAlert.internalError.rawValue)
      },
      { [weak self] channel, failure in self?.accepted(channel, failure) })
  }

  func close() {
    listener?.close()
    listener = nil
  }

  private func tunnel(_ name: String?) -> Tunnel? {
    guard let name = name.flatMap(HostNamespace.normalized), let tunnel = engine.registry.tunnel(hostname: name),
      tunnel.properties.protocol == "dtls"
    else { return nil }
    return tunnel
  }

  private func choose(_ name: String?, _ offersProtocols: Bool, _ peer: SocketAddress?) -> DTLSChannel.Choice {
    guard let tunnel = tunnel(name) else { return .refused(TLSAlert.unrecognizedName.rawValue) }
    guard tunnel.admits(peer) else { return .refused(TLSAlert.accessDenied.rawValue) }
    // OpenSSL would let a client that offers nothing pass.
    guard tunnel.properties.tlsALPNs.isEmpty || offersProtocols else {
      return .refused(TLSAlert.noApplicationProtocol.rawValue)
    }
    guard let certificates = engine.certificates,
      let context = try? tunnel.tls.downstreamDTLS(tunnel.properties, certificates)
    else { return .refused(TLSAlert.internalError.rawValue) }
    return .served(context)
  }

  private func accepted(_ channel: DTLSChannel, _ failure: Failure?) {
    if let failure {
      return Log.debug("engine", "\(channel.peer?.description ?? "unknown peer"): \(failure.message)")
    }
    guard let tunnel = tunnel(channel.serverName) else { return channel.close() }
    ConsumerPackets.open(
      tunnel, for: channel, engine,
      upstream: tunnel.properties.upstreamTLS == true ? .tls(channel.negotiatedProtocol) : .plain,
      // Its client may have gone without a word.
      idleTimeout: UInt64(engine.settings.dtlsIdleSeconds) * 1000)
  }
}
