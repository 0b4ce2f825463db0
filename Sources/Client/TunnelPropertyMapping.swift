// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamWire

extension TunnelProperties {
  /// Whether a tunnel with these properties carries packets. Where an engine does not tell the type, the protocol does.
  var carriesPackets: Bool {
    if let type { return type == "datagram" }
    return httpVersion == "h3" || ["dtls", "quic"].contains(self.protocol)
  }

  /// The properties as they are asked for on the wire; what only the engine may set is left out.
  init(_ options: TunnelOptions) {
    self.init()
    name = options.name
    type = options.type
    publish = options.publish
    `protocol` = options.tunnelProtocol
    for (key, value) in options.labels { labels[key] = value }
    geoip = options.geoip
    trustedIPs = options.trustedIPs
    hostname = options.hostname
    port = options.port
    tlsMode = options.tlsMode
    tlsALPNs = options.tlsALPNs
    tlsMinVersion = options.tlsMinVersion
    tlsCiphers = options.tlsCiphers
    mtlsAuth = options.mtlsAuth
    httpVersion = options.httpVersion
    httpUseTLS = options.httpUseTLS
    upstreamTLS = options.upstreamTLS
    datagramGuaranteedDelivery = options.datagramGuaranteedDelivery
    allowCrossRegionRouting = options.allowCrossRegionRouting
    tokenAuth = options.tokenAuth
    rstreamAuth = options.rstreamAuth
    challengeMode = options.challengeMode
  }
}

extension TunnelOptions {
  /// The properties as the engine confirmed them.
  init(_ properties: TunnelProperties) {
    self.init()
    id = properties.id
    creationDate = properties.creationDate?.rfc3339
    name = properties.name
    type = properties.type
    publish = properties.publish
    tunnelProtocol = properties.protocol
    for (key, value) in properties.labels { labels[key] = value }
    geoip = properties.geoip
    trustedIPs = properties.trustedIPs
    host = properties.host
    hostname = properties.hostname
    port = properties.port
    tlsMode = properties.tlsMode
    tlsALPNs = properties.tlsALPNs
    tlsMinVersion = properties.tlsMinVersion
    tlsCiphers = properties.tlsCiphers
    mtlsAuth = properties.mtlsAuth
    httpVersion = properties.httpVersion
    httpUseTLS = properties.httpUseTLS
    upstreamTLS = properties.upstreamTLS
    datagramGuaranteedDelivery = properties.datagramGuaranteedDelivery
    allowCrossRegionRouting = properties.allowCrossRegionRouting
    tokenAuth = properties.tokenAuth
    rstreamAuth = properties.rstreamAuth
    challengeMode = properties.challengeMode
  }
}
