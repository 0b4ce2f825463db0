// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import RstreamNet
import RstreamWire

/// What an owner has delivered. Nothing has been read from it since the handshake, nobody is its delegate.
enum OwnerEnd {
  case stream(ByteChannel)
  /// QUIC datagrams, without a stream.
  case datagrams(QUICPacketChannel)
}

/// A stream that a consumer waits for: the owner has been asked for it, or will be.
final class PendingStream {
  typealias Completion = (Result<OwnerEnd, StreamFailure>) -> Void

  let id = RandomHex.text(bytes: 12)
  let tunnel: Tunnel
  private let secret = RandomHex.text(bytes: 32)
  private let source: SocketAddress?
  private var completion: Completion?
  private var timer: LoopTimer?
  /// Set while the stream waits or was asked for.
  private weak var queue: StreamRequests?
  /// Where packets of a tunnel arrive that come as datagrams, maybe before the owner's answer.
  private var datagrams: QUICPacketChannel?
  /// Whether the owner was asked for a channel of datagrams and may still agree: no stream comes that could be refused.
  private(set) var mayBeAgreedLate = false

  init(
    _ tunnel: Tunnel, source: SocketAddress?, queue: StreamRequests, timeout milliseconds: UInt64,
    _ completion: @escaping Completion
  ) {
    self.tunnel = tunnel
    self.source = source
    self.queue = queue
    self.completion = completion
    timer = LoopTimer(tunnel.owner.engine.loop, after: milliseconds) { [self] in fail(.timeout) }
  }

  /// Whether the consumer has gone meanwhile.
  var isAbandoned: Bool { completion == nil }

  /// The consumer does not want the stream any more: the completion is not called.
  func cancel() {
    completion = nil
    queue?.abandoned(self)
  }

  var request: Message {
    .proxyConnReq(
      ProxyConnReq(tunnelID: tunnel.id, streamID: id, secret: secret, sourceIP: source.flatMap(IpAddress.init)))
  }

  /// Whether this is the secret, found out in a time that does not depend on how much of it is right.
  func accepts(_ offered: String?) -> Bool {
    guard let offered else { return false }
    let (a, b) = (Array(secret.utf8), Array(offered.utf8))
    return a.count == b.count && CRYPTO_memcmp(a, b, a.count) == 0
  }

  /// The owner is about to be asked.
  func prepare() {
    guard tunnel.takesDatagrams, let connection = tunnel.owner.datagramConnection,
      let channelID = DatagramChannelID(streamID: id)
    else { return }
    datagrams = try? connection.datagramChannels.open(channelID)
  }

  /// The owner has agreed: what comes as datagrams comes without a stream.
  func agreed() {
    guard let datagrams else {
      if isAbandoned { fail(.notFound) }
      return
    }
    self.datagrams = nil
    tunnel.owner.opened(datagrams, for: id)
    if isAbandoned {
      datagrams.close()
      fail(.notFound)
    } else {
      finish(.success(.datagrams(datagrams)))
    }
  }

  func succeed(_ channel: ByteChannel) { finish(.success(.stream(channel))) }

  func fail(_ failure: StreamFailure) {
    switch failure {
    case .refused: break
    default: mayBeAgreedLate = datagrams != nil
    }
    finish(.failure(failure))
  }

  private func finish(_ result: Result<OwnerEnd, StreamFailure>) {
    datagrams?.close()
    datagrams = nil
    let report = completion
    completion = nil
    timer?.close()
    timer = nil
    queue?.settled(self)
    queue = nil
    report?(result)
  }
}

extension IpAddress {
  /// The address of a peer; nil for a Unix socket.
  init?(_ address: SocketAddress) {
    switch address.unmapped.host {
    case .v4(let number): self = .v4(number)
    case .v6(let bytes): self = .v6((0..<16).map { bytes[$0] })
    case .unix: return nil
    }
  }
}
