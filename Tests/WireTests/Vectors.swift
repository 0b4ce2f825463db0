// SPDX-License-Identifier: Apache-2.0
import RstreamWire
import Testing

/// A message and its frame, as Google's implementation writes it with the official schema.
struct Vector: Sendable, CustomTestStringConvertible {
  let name: String
  let hex: String
  let message: Message

  init(_ name: String, _ hex: String, _ message: Message) {
    self.name = name
    self.hex = hex
    self.message = message
  }

  var testDescription: String { name }
  var frame: [UInt8] { bytes(hex) }
  var payload: [UInt8] { Array(frame.dropFirst(Frame.headerSize)) }
}

/// Bytes from hexadecimal digits; spaces are for the reader.
func bytes(_ hex: String) -> [UInt8] {
  let digits = hex.compactMap(\.hexDigitValue)
  return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

private let streamID = "00112233445566778899aabb"

private func properties(_ set: (inout TunnelProperties) -> Void) -> TunnelProperties {
  var properties = TunnelProperties()
  set(&properties)
  return properties
}

let vectors: [Vector] = [
  Vector(
    "open control channel", "0000001c0a1a0a130a030a016132030a01743a070a05312e342e351203088827",
    .openControlChannelReq(
      OpenControlChannelReq(
        clientDetails: ClientDetails(agent: "a", token: "t", protocolVersion: "1.4.5"),
        liveness: ControlChannelLiveness(heartbeatIntervalMS: 5000)))),
  Vector(
    "control channel open", "0000001212100a0e0a02633112001a06088827109875",
    .openControlChannelRsp(
      OpenControlChannelRsp(
        .ok(
          OpenControlChannelRsp.Ok(
            clientID: "c1", serverDetails: ServerDetails(),
            liveness: ControlChannelLiveness(heartbeatIntervalMS: 5000, heartbeatTimeoutMS: 15000)))))),
  Vector(
    "control channel refused", "0000000d120b120908e80712040a026e6f",
    .openControlChannelRsp(OpenControlChannelRsp(.error(PeerError(.unauthorized, "no"))))),
  Vector("heartbeat", "000000047a020801", .heartbeat(Heartbeat(sequence: 1))),
  Vector("heartbeat acknowledged", "000000047a021001", .heartbeat(Heartbeat(acknowledgement: 1))),
  Vector("heartbeat before 1.4.5", "000000027a00", .heartbeat(Heartbeat())),
  Vector(
    "open private tunnel", "0000000f2a0d0a02723112071a030a016e2a00",
    .openTunnelReq(
      OpenTunnelReq(
        requestID: "r1",
        tunnelProperties: properties {
          $0.name = "n"
          $0.publish = false
        }))),
  Vector(
    "private tunnel open", "0000002332210a027231121b0a040a0274311a030a016e220c0a0a6279746573747265616d2a00",
    .openTunnelRsp(
      OpenTunnelRsp(
        requestID: "r1",
        .tunnelProperties(
          properties {
            $0.id = "t1"
            $0.name = "n"
            $0.type = "bytestream"
            $0.publish = false
          })))),
  Vector(
    "ask for a stream",
    "0000002c4a2a0a02743112183030313132323333343435353636373738383939616162621a030a017322050d0a0200c0",
    .proxyConnReq(
      ProxyConnReq(tunnelID: "t1", streamID: streamID, secret: "s", sourceIP: IpAddress(text: "192.0.2.10")))),
  Vector(
    "bring a stream", "000000275a250a0532030a017312183030313132323333343435353636373738383939616162621a020801",
    .proxyReq(ProxyReq(clientDetails: ClientDetails(token: "s"), streamID: streamID, zeroRTT: true))),
  Vector("stream brought", "000000026200", .proxyRsp(ProxyRsp())),
  Vector(
    "stream delivered", "0000001c521a0a18303031313232333334343535363637373838393961616262",
    .proxyConnRsp(ProxyConnRsp(streamID: streamID))),
  Vector(
    "dial", "0000000e6a0c0a0532030a017412016e1a00",
    .streamReq(StreamReq(clientDetails: ClientDetails(token: "t"), tunnelIDOrName: "n", zeroRTT: false))),
  Vector(
    "dialed", "0000001c721a0a18303031313232333334343535363637373838393961616262",
    .streamRsp(StreamRsp(.streamID(streamID)))),
  Vector("dial refused", "000000077205120308b817", .streamRsp(StreamRsp(.error(PeerError(.tunnelNotFound))))),
  Vector("close tunnel", "000000063a040a027431", .closeTunnelReq(CloseTunnelReq(tunnelID: "t1"))),
  Vector("tunnel closed", "0000000642040a027431", .closeTunnelRsp(CloseTunnelRsp(tunnelID: "t1"))),
  Vector("close control channel", "000000021a00", .closeControlChannelReq(CloseControlChannelReq())),
  Vector("control channel closed", "000000022200", .closeControlChannelRsp(CloseControlChannelRsp())),
  Vector(
    "datagram channel closed", "0000001d8a011a0a18303031313232333334343535363637373838393961616262",
    .datagramChannelClose(DatagramChannelClose(streamID: streamID))),
]
