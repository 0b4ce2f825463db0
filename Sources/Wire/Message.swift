// SPDX-License-Identifier: Apache-2.0

/// The protocol's `Message`: what one frame carries on a control channel, and the first frame of every other connection.
public enum Message: Equatable, Sendable {
  /// No message, or one that this version does not know.
  case unknown
  case openControlChannelReq(OpenControlChannelReq)
  case openControlChannelRsp(OpenControlChannelRsp)
  case closeControlChannelReq(CloseControlChannelReq)
  case closeControlChannelRsp(CloseControlChannelRsp)
  case openTunnelReq(OpenTunnelReq)
  case openTunnelRsp(OpenTunnelRsp)
  case closeTunnelReq(CloseTunnelReq)
  case closeTunnelRsp(CloseTunnelRsp)
  case proxyConnReq(ProxyConnReq)
  case proxyConnRsp(ProxyConnRsp)
  case proxyReq(ProxyReq)
  case proxyRsp(ProxyRsp)
  case streamReq(StreamReq)
  case streamRsp(StreamRsp)
  case heartbeat(Heartbeat)
  case serverMessage(ServerMessage)
  case datagramChannelClose(DatagramChannelClose)

  public init() { self = .unknown }

  /// Reads the payload of a frame. Fields of later versions are skipped.
  public static func decode(_ payload: [UInt8]) throws(DecodeError) -> Message {
    var reader = ProtoReader(payload)
    var message = Message.unknown
    try reader.mergeFields(into: &message)
    return message
  }

  /// The payload of a frame. The same message always has the same bytes.
  public func encoded() -> [UInt8] {
    var writer = ProtoWriter()
    write(to: &writer)
    return writer.bytes
  }

  /// The whole frame, header included.
  public func framed() throws(FrameError) -> [UInt8] {
    try Frame.encode(self)
  }
}

extension Message: ProtoMessage {
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    switch field {
    case .bytes(1):
      try reader.merge(into: &self, empty: .unknown, Message.openControlChannelReq) {
        if case .openControlChannelReq(let held) = $0 { held } else { nil }
      }
    case .bytes(2):
      try reader.merge(into: &self, empty: .unknown, Message.openControlChannelRsp) {
        if case .openControlChannelRsp(let held) = $0 { held } else { nil }
      }
    case .bytes(3):
      try reader.merge(into: &self, empty: .unknown, Message.closeControlChannelReq) {
        if case .closeControlChannelReq(let held) = $0 { held } else { nil }
      }
    case .bytes(4):
      try reader.merge(into: &self, empty: .unknown, Message.closeControlChannelRsp) {
        if case .closeControlChannelRsp(let held) = $0 { held } else { nil }
      }
    case .bytes(5):
      try reader.merge(into: &self, empty: .unknown, Message.openTunnelReq) {
        if case .openTunnelReq(let held) = $0 { held } else { nil }
      }
    case .bytes(6):
      try reader.merge(into: &self, empty: .unknown, Message.openTunnelRsp) {
        if case .openTunnelRsp(let held) = $0 { held } else { nil }
      }
    case .bytes(7):
      try reader.merge(into: &self, empty: .unknown, Message.closeTunnelReq) {
        if case .closeTunnelReq(let held) = $0 { held } else { nil }
      }
    case .bytes(8):
      try reader.merge(into: &self, empty: .unknown, Message.closeTunnelRsp) {
        if case .closeTunnelRsp(let held) = $0 { held } else { nil }
      }
    case .bytes(9):
      try reader.merge(into: &self, empty: .unknown, Message.proxyConnReq) {
        if case .proxyConnReq(let held) = $0 { held } else { nil }
      }
    case .bytes(10):
      try reader.merge(into: &self, empty: .unknown, Message.proxyConnRsp) {
        if case .proxyConnRsp(let held) = $0 { held } else { nil }
      }
    case .bytes(11):
      try reader.merge(into: &self, empty: .unknown, Message.proxyReq) {
        if case .proxyReq(let held) = $0 { held } else { nil }
      }
    case .bytes(12):
      try reader.merge(into: &self, empty: .unknown, Message.proxyRsp) {
        if case .proxyRsp(let held) = $0 { held } else { nil }
      }
    case .bytes(13):
      try reader.merge(into: &self, empty: .unknown, Message.streamReq) {
        if case .streamReq(let held) = $0 { held } else { nil }
      }
    case .bytes(14):
      try reader.merge(into: &self, empty: .unknown, Message.streamRsp) {
        if case .streamRsp(let held) = $0 { held } else { nil }
      }
    case .bytes(15):
      try reader.merge(into: &self, empty: .unknown, Message.heartbeat) {
        if case .heartbeat(let held) = $0 { held } else { nil }
      }
    case .bytes(16):
      try reader.merge(into: &self, empty: .unknown, Message.serverMessage) {
        if case .serverMessage(let held) = $0 { held } else { nil }
      }
    case .bytes(17):
      try reader.merge(into: &self, empty: .unknown, Message.datagramChannelClose) {
        if case .datagramChannelClose(let held) = $0 { held } else { nil }
      }
    default: try reader.skip(field)
    }
  }

  func write(to writer: inout ProtoWriter) {
    switch self {
    case .unknown: break
    case .openControlChannelReq(let message): writer.message(1, message)
    case .openControlChannelRsp(let message): writer.message(2, message)
    case .closeControlChannelReq(let message): writer.message(3, message)
    case .closeControlChannelRsp(let message): writer.message(4, message)
    case .openTunnelReq(let message): writer.message(5, message)
    case .openTunnelRsp(let message): writer.message(6, message)
    case .closeTunnelReq(let message): writer.message(7, message)
    case .closeTunnelRsp(let message): writer.message(8, message)
    case .proxyConnReq(let message): writer.message(9, message)
    case .proxyConnRsp(let message): writer.message(10, message)
    case .proxyReq(let message): writer.message(11, message)
    case .proxyRsp(let message): writer.message(12, message)
    case .streamReq(let message): writer.message(13, message)
    case .streamRsp(let message): writer.message(14, message)
    case .heartbeat(let message): writer.message(15, message)
    case .serverMessage(let message): writer.message(16, message)
    case .datagramChannelClose(let message): writer.message(17, message)
    }
  }
}
