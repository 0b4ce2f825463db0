// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire

/// What an agent or dialer speaks the protocol over, a TLS connection or a QUIC stream, until its first message says what
/// it is for.
final class WireConnection: Session, MessageChannelDelegate {
  private let engine: Engine
  private let channel: ByteChannel
  private let certificate: PeerCertificate
  private var timer: LoopTimer?
  private var messages: MessageChannel?

  /// - Parameter milliseconds: until the first message
  @discardableResult
  init(_ engine: Engine, _ channel: ByteChannel, certificate: PeerCertificate, timeout milliseconds: UInt64) {
    self.engine = engine
    self.channel = channel
    self.certificate = certificate
    engine.sessions.add(self)
    timer = LoopTimer(engine.loop, after: milliseconds) { [self] in
      Log.debug("engine", "\(peer): no first message in time")
      cut()
    }
    messages = MessageChannel(channel, self)
  }

  private var peer: String { channel.peer?.description ?? "unknown peer" }

  func drain() { cut() }

  func cut() {
    leave()
    channel.reset()
  }

  /// The connection belongs to somebody else now, or is closed.
  private func leave() {
    timer?.close()
    timer = nil
    messages = nil
    engine.sessions.remove(self)
  }

  func messageChannel(_ channel: MessageChannel, received message: Message) {
    leave()
    switch message {
    case .openControlChannelReq(let request):
      ControlSession.open(channel, request, certificate: certificate, engine)
    case .proxyReq(let request):
      engine.broker.deliver(request, over: channel.detach())
    case .streamReq(let request):
      PrivateDial.serve(request, over: channel.detach(), certificate: certificate, engine)
    default:
      Log.debug("engine", "\(peer): the first message opens nothing")
      channel.close()
    }
  }

  func messageChannelEnded(_ channel: MessageChannel) {
    leave()
    channel.close()
  }

  func messageChannelDrained(_ channel: MessageChannel) {}

  func messageChannel(_ channel: MessageChannel, failed failure: Failure) {
    Log.debug("engine", "\(peer): \(failure.message)")
    leave()
  }
}
