// SPDX-License-Identifier: Apache-2.0
import CRstream
import Glibc
import RstreamNet
import RstreamWire

nonisolated(unsafe) private let versionString = StableString(RSTREAM_VERSION_STRING)
nonisolated(unsafe) private let protocolVersion = StableString(ProtocolVersion.current.description)
nonisolated(unsafe) private let featureWords = StableString(features.joined(separator: " "))

private let features =
  [
    "transport.tls", "transport.quic", "tunnel.bytestream", "tunnel.forward", "stream.fd", "engine", "inventory",
    "proxy.http",
    "proxy.socks5", "proxy.connect-udp",
    "dns.override", "dns.tls", "dns.dnssec", "bind", "mptcp", "doctor", "watch", "tunnel.datagram",
    "watch.websocket", "published.dtls", "published.quic",
  ] + (EncryptedHello.isAvailable ? ["ech"] : [])

@_cdecl("rstream_version_string") @implementation
public func rstream_version_string() -> UnsafePointer<CChar>? { versionString.pointer }

@_cdecl("rstream_version_number") @implementation
public func rstream_version_number() -> UInt32 {
  UInt32(RSTREAM_VERSION_MAJOR << 16 | RSTREAM_VERSION_MINOR << 8 | RSTREAM_VERSION_PATCH)
}

@_cdecl("rstream_protocol_version") @implementation
public func rstream_protocol_version() -> UnsafePointer<CChar>? { protocolVersion.pointer }

@_cdecl("rstream_features") @implementation
public func rstream_features() -> UnsafePointer<CChar>? { featureWords.pointer }

@_cdecl("rstream_has_feature") @implementation
public func rstream_has_feature(_ feature: UnsafePointer<CChar>?) -> Int32 {
  String(from: feature).map { features.contains($0) ? 1 : 0 } ?? 0
}
