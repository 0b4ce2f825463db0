// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// HTTP of published tunnels.
///
/// `serve` gets every connection whose SNI names an http tunnel, or lies in the tunnels' namespace without being a tunnel,
/// after its TLS handshake: ALPN was `http/1.1`, or there was none. The channel has no delegate and is not being read. What
/// `serve` makes of it is a `Session`, as in `EngineAPI`.
///
/// For each request: `engine.httpTunnel(host:)` finds the tunnel of a Host field, `Tunnel.admits` checks its trusted
/// addresses, and `engine.broker.open(tunnel, source: channel.peer)` opens a stream to it. The completion is never called
/// inside that call; `PendingStream.cancel` ends the wait. The stream comes as a `ByteChannel` that nobody reads yet and
/// that whoever got it closes; `StreamFailure` says why none came. With `properties.upstreamTLS` the service behind the
/// tunnel speaks TLS: `tunnel.tls.upstream(offering:)` has the settings for a `TLSChannel` over the stream.
enum PublishedHTTP {
  static func serve(_ channel: TLSChannel, _ hello: ClientHello, _ engine: Engine) {
    channel.close()
  }
}
