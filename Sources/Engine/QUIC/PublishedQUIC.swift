// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// A consumer's QUIC connection to a published quic tunnel, joined with one to the service behind it: that travels in a
/// packet channel of the tunnel.
final class PublishedQUIC: Session {
  /// Streams of each kind and each peer that are carried on at once.
  private static let streams: UInt64 = 256
  /// Streams of one direction in the life of a connection, which cost about 200 bytes each until its end.
  private static let keptStreams = 262_144
  /// Bytes that one consumer, or its service, may have waiting because the other one does not read.
  private static let heldLimit = 4 << 20
  private static let largestStreamWindow: UInt64 = 4 << 20

  private let engine: Engine
  private let tunnel: Tunnel
  private let consumer: QUICConnection
  private var relay: QUICRelay?
  private var pending: PendingStream?

  // MARK: Handshake

  static func tunnel(_ name: String, _ engine: Engine) -> Tunnel? {
    guard let tunnel = engine.registry.tunnel(hostname: name), tunnel.properties.protocol == "quic" else { return nil }
    return tunnel
  }

  /// The first protocol of the tunnel that the client offers. A tunnel without any leaves it to the client and the service.
  static func chosenProtocol(of tunnel: Tunnel, _ hello: ClientHello) -> String? {
    guard let offered = hello.protocols else { return nil }
    let known = tunnel.properties.tlsALPNs
    return known.isEmpty ? offered.first : known.first(where: offered.contains)
  }

  static func settings(_ engine: Engine) -> QUICSettings {
    var settings = QUICEdge.quicSettings(engine)
    settings.streams = streams
    settings.unidirectionalStreams = streams
    settings.keptStreams = keptStreams
    settings.allowsServerStreams = true
    settings.tellsStops = true
    settings.heldLimit = heldLimit
    settings.largestStreamWindow = largestStreamWindow
    return settings
  }

  // MARK: Serving

  /// Takes over a consumer whose handshake is done.
  static func serve(_ consumer: QUICConnection, _ name: String, _ place: AnyObject, _ engine: Engine) {
    guard let tunnel = tunnel(name, engine) else {
      return consumer.close(.refused("there is no such tunnel any more"))
    }
    _ = PublishedQUIC(consumer, tunnel, place, engine)
  }

  private init(_ consumer: QUICConnection, _ tunnel: Tunnel, _ place: AnyObject, _ engine: Engine) {
    self.consumer = consumer
    self.tunnel = tunnel
    self.engine = engine
    consumer.attachment = place
    engine.sessions.add(self)
    relay = QUICRelay(
      consumer, streamTimeout: engine.streamTimeout, admit: { [weak engine] in engine?.connections.admit() },
      onEnd: { [self] failure in
        Log.debug("engine", "tunnel \(tunnel.id): QUIC connection ended: \(failure?.message ?? "")")
        leave()
      })
    pending = engine.broker.open(tunnel, source: consumer.peer) { [self] result in opened(result) }
  }

  /// Connections go on until their peers end them, or the engine's time is up.
  func drain() {}

  func cut() {
    relay?.cut(.noError("the engine stops"))
    leave()
  }

  private func leave() {
    pending?.cancel()
    pending = nil
    if let relay {
      Log.debug(
        "engine",
        "tunnel \(tunnel.id): QUIC connection of \(relay.streams) streams (\(relay.refusedStreams) refused) and "
          + "\(relay.datagrams) datagrams (\(relay.droppedDatagrams) dropped)")
      engine.droppedDatagrams &+= relay.droppedDatagrams
    }
    relay = nil
    engine.sessions.remove(self)
  }

  private func opened(_ result: Result<OwnerEnd, StreamFailure>) {
    pending = nil
    switch result {
    case .failure(let failure):
      Log.debug("engine", "tunnel \(tunnel.id): no packet channel: \(failure)")
      relay?.close(.refused("the tunnel's owner cannot be reached"))
    case .success(.stream(let channel)): connect(through: FramedPacketChannel(channel))
    case .success(.datagrams(let channel)): connect(through: channel)
    }
  }

  private func connect(through channel: PacketChannel) {
    guard let relay else { return channel.reset() }
    let path = PacketPath(through: channel) { [weak relay] failure in
      relay?.close(.internalError("the tunnel's owner has gone"), failure)
    }
    do throws(Failure) {
      var settings = Self.settings(engine)
      // The consumer's own signs of life end at the engine.
      settings.keepAlive = QUICSettings().keepAlive
      relay.join(
        try QUICConnection(
          client: engine.serviceCredentials(), over: path, local: path.local, remote: path.remote,
          serverName: tunnel.properties.hostname ?? "", alpn: [consumer.negotiatedProtocol], engine.loop, settings))
    } catch {
      Log.error("engine", "tunnel \(tunnel.id): \(error.message)")
      path.close()
      relay.close(.internalError("the engine cannot open a connection"), error)
    }
  }
}
