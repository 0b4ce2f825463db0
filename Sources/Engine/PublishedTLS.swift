// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// Published tls tunnels whose TLS ends at the engine.
enum PublishedTLS {
  /// The TLS settings for a tunnel's consumers; nil when they cannot be used.
  static func context(of tunnel: Tunnel, _ engine: Engine) -> TLSContext? {
    guard let certificates = engine.certificates else { return nil }
    do throws(Failure) {
      return try tunnel.tls.downstream(tunnel.properties, certificates)
    } catch {
      Log.error("engine", "tunnel \(tunnel.id): \(error.message)")
      return nil
    }
  }

  /// A consumer has finished its handshake.
  static func serve(_ consumer: TLSChannel, _ tunnel: Tunnel, _ engine: Engine) {
    let usesTLS = tunnel.properties.upstreamTLS == true
    ConsumerStream.open(
      tunnel, for: consumer, engine, upstream: usesTLS ? .tls(consumer.negotiatedProtocol) : .plain)
  }
}
