// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire

/// The TLS settings of a terminated tls tunnel towards its consumers, made anew when the engine's certificate changes, and
/// those towards a TLS service behind the tunnel.
struct TunnelTLS {
  private var downstream: (generation: Int, context: TLSContext)?
  /// One for each protocol that consumers may negotiate, and one for none.
  private var upstream: [String: TLSContext] = [:]

  mutating func downstream(_ properties: TunnelProperties, _ certificates: CertificateStore) throws(Failure)
    -> TLSContext
  {
    let contexts = certificates.current()
    if let downstream, downstream.generation == certificates.generation { return downstream.context }
    let suites = CipherSuites(properties.tlsCiphers)
    let context = try contexts.context { settings in
      settings.alpn = properties.tlsALPNs.isEmpty ? .ignore : .require(properties.tlsALPNs)
      settings.allowsTLS12 = properties.tlsMinVersion != "tls1.3" && suites.allowTLS12
      settings.ciphers = suites.tls12
      settings.cipherSuites = suites.tls13
    }
    downstream = (certificates.generation, context)
    return context
  }

  /// The same for a published dtls tunnel.
  mutating func downstreamDTLS(_ properties: TunnelProperties, _ certificates: CertificateStore) throws(Failure)
    -> TLSContext
  {
    let contexts = certificates.current()
    if let downstream, downstream.generation == certificates.generation { return downstream.context }
    let context = try contexts.context { settings in
      settings.isDatagram = true
      settings.ciphers = DTLSChannel.ciphers
      settings.alpn = properties.tlsALPNs.isEmpty ? .ignore : .require(properties.tlsALPNs)
    }
    downstream = (certificates.generation, context)
    return context
  }

  /// Services behind tunnels have whatever certificate they have: the tunnel, not the name, says that it is the right one.
  /// - Parameter datagrams: DTLS, which a tunnel that carries packets has instead
  mutating func upstream(offering negotiated: String, datagrams: Bool = false) throws(Failure) -> TLSContext {
    if let context = upstream[negotiated] { return context }
    var settings = TLSContext.ClientSettings()
    settings.isDatagram = datagrams
    if datagrams { settings.ciphers = DTLSChannel.clientCiphers }
    settings.skipsVerification = true
    settings.allowsTLS12 = true
    if !negotiated.isEmpty { settings.alpn = [negotiated] }
    let context = try TLSContext(client: settings)
    upstream[negotiated] = context
    return context
  }
}

/// Cipher suites by the names of the TLS registry or OpenSSL's, divided by the version that they belong to.
private struct CipherSuites {
  let tls12: String?
  let tls13: String?
  /// False when only suites of TLS 1.3 were named.
  let allowTLS12: Bool

  init(_ names: [String]) {
    let newer = names.filter { $0.hasPrefix("TLS_AES_") || $0.hasPrefix("TLS_CHACHA20_") }
    let older = names.filter { !newer.contains($0) }
    tls12 = older.isEmpty ? nil : older.map(TLSContext.cipherName).joined(separator: ":")
    tls13 = newer.isEmpty ? nil : newer.joined(separator: ":")
    allowTLS12 = names.isEmpty || !older.isEmpty
  }
}
