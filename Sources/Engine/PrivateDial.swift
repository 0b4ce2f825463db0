// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire

/// Dialers: connections that ask for a stream of a tunnel by its id or name.
enum PrivateDial {
  /// Takes over a connection whose first message was `request`.
  static func serve(_ request: StreamReq, over dialer: ByteChannel, certificate: PeerCertificate, _ engine: Engine) {
    let answers = request.zeroRTT != true
    do throws(Refusal) {
      let tunnel = try find(request, over: dialer, certificate: certificate, engine)
      func answer(_ result: Result<String, StreamFailure>) {
        guard answers else { return }
        switch result {
        case .success(let id): dialer.write(.streamRsp(StreamRsp(.streamID(id))))
        case .failure(let failure): dialer.write(.streamRsp(StreamRsp(.error(failure.peerError))))
        }
      }
      if request.datagramChannel == true {
        try serveDatagrams(tunnel, dialer, engine)
      } else if tunnel.carriesPackets {
        ConsumerPackets.open(tunnel, for: FramedPacketChannel(dialer), engine, answer: answer)
      } else {
        ConsumerStream.open(tunnel, for: dialer, engine) { _, result in answer(result) }
      }
    } catch {
      if answers { dialer.write(.streamRsp(StreamRsp(.error(error.error)))) }
      dialer.close()
    }
  }

  private static func find(
    _ request: StreamReq, over dialer: ByteChannel, certificate: PeerCertificate, _ engine: Engine
  ) throws(Refusal) -> Tunnel {
    let grant = try ClientAdmission.judge(request.clientDetails, certificate: certificate, engine)
    guard grant.permits(.createStreams) else { throw Refusal(StreamFailure.unauthorized.peerError) }
    QUICSession.accepted(over: dialer)
    guard let tunnel = engine.registry.tunnel(idOrName: request.tunnelIDOrName) else {
      throw Refusal(StreamFailure.notFound.peerError)
    }
    guard grant.permitsStream(of: tunnel.record) else { throw Refusal(StreamFailure.unauthorized.peerError) }
    return tunnel
  }

  /// The dialer's packets travel as datagrams of its connection; its stream stays open to tell the channel's end. Owners
  /// that are reached over TLS are not bridged to: the dialer asks again, for packets on a stream.
  private static func serveDatagrams(_ tunnel: Tunnel, _ dialer: ByteChannel, _ engine: Engine) throws(Refusal) {
    let id = RandomHex.text(bytes: 12)
    guard tunnel.takesDatagrams, tunnel.owner.datagramConnection != nil,
      let connection = (dialer as? QUICStream)?.connection.takingDatagrams,
      let channelID = DatagramChannelID(streamID: id),
      let channel = try? connection.datagramChannels.open(channelID)
    else { throw Refusal(.invalidRequest, "QUIC datagrams are not available for this tunnel.") }
    let signal = DatagramChannelSignal(channel, over: dialer, streamID: id, ConsumerPackets.words)
    channel.attachment = signal
    ConsumerPackets.open(tunnel, for: channel, engine) { [weak signal] result in
      switch result {
      case .success: signal?.answer(.streamID(id))
      case .failure(let failure): signal?.answer(.error(failure.peerError))
      }
    }
  }
}
