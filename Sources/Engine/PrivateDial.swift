// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire

/// Dialers: connections that ask for a stream of a tunnel by its id or name.
enum PrivateDial {
  /// Takes over a connection whose first message was `request`.
  static func serve(_ request: StreamReq, over dialer: ByteChannel, hasCertificate: Bool, _ engine: Engine) {
    let answers = request.zeroRTT != true
    func refuse(_ error: PeerError) {
      if answers { dialer.write(.streamRsp(StreamRsp(.error(error)))) }
      dialer.close()
    }
    switch ClientAdmission.judge(request.clientDetails, hasCertificate: hasCertificate, engine) {
    case .failure(let refusal):
      return refuse(refusal.error)
    case .success(let grant):
      guard let tunnel = engine.registry.tunnel(idOrName: request.tunnelIDOrName) else {
        return refuse(StreamFailure.notFound.peerError)
      }
      guard grant.permits(.createStreams) else { return refuse(StreamFailure.unauthorized.peerError) }
      if request.datagramChannel == true {
        return refuse(PeerError(.invalidRequest, "QUIC datagrams are not available for this tunnel."))
      }
      ConsumerStream.open(tunnel, for: dialer, engine) { dialer, result in
        guard answers else { return }
        switch result {
        case .success(let id): dialer.write(.streamRsp(StreamRsp(.streamID(id))))
        case .failure(let failure): dialer.write(.streamRsp(StreamRsp(.error(failure.peerError))))
        }
      }
    }
  }
}
