// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// The engine's HTTP API.
///
/// `serve` gets every connection to the engine's own host that does not speak `rstrm/1`, after its TLS handshake: ALPN was
/// `http/1.1`, or there was none. The channel has no delegate and is not being read. What `serve` makes of it is a
/// `Session`: it adds itself to `engine.sessions` and removes itself when it has ended, it answers `drain` and `cut`, and
/// it bounds its own waits (`engine.handshakeTimeout` for the first request's header, `settings.httpIdleSeconds` after).
///
/// What there is to read: `engine.clients` (control channels: id, details, grant), `engine.registry.tunnels` (the newest
/// first) and the engine's settings.
enum EngineAPI {
  static func serve(_ channel: TLSChannel, _ hello: ClientHello, _ engine: Engine) {
    channel.close()
  }
}
