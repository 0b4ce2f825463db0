// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamNet

extension Client {
  /// A GET of the engine's API, with the client's token where it has one.
  /// - Parameter path: below /api, encoded
  func apiRequestHead(_ path: String, to target: APITarget = .engine, accept contentType: String) -> [UInt8] {
    var head = apiRequest(path, to: target)
    head.headers.append("Accept", contentType)
    var bytes: [UInt8] = []
    HTTP1Serializer.append(head, to: &bytes)
    return bytes
  }

  /// The same, asking for WebSocket.
  func apiRequestHead(_ path: String, to target: APITarget, webSocketKey key: String) -> [UInt8] {
    var head = apiRequest(path, to: target)
    head.askForWebSocket(key: key)
    var bytes: [UInt8] = []
    HTTP1Serializer.append(head, connection: .upgrade("websocket"), to: &bytes)
    return bytes
  }

  private func apiRequest(_ path: String, to target: APITarget) -> HTTPRequestHead {
    let address =
      switch target {
      case .engine: settings.engine
      case .mtls(let address): address
      }
    var head = HTTPRequestHead(
      method: "GET", scheme: "https", authority: address.map(Self.authority) ?? "",
      path: Array("/api\(path)".utf8))
    head.headers.append("User-Agent", Self.userAgent)
    if let token = settings.token { head.headers.append("Authorization", "Bearer \(token)") }
    return head
  }

  static var userAgent: String { "\(ClientIdentity.agent)/\(LibraryVersion.text)" }

  /// What the Host header says: the port only where it is not that of https.
  static func authority(_ engine: EngineAddress) -> String {
    guard engine.port == EngineAddress.defaultPort else { return engine.text }
    return engine.host.utf8.contains(UInt8(ascii: ":")) ? "[\(engine.host)]" : engine.host
  }
}

/// Text for a place in a URL where only its own letters are safe (RFC 3986 2.3).
func percentEncoded(_ bytes: some Sequence<UInt8>) -> String {
  let hexadecimal = Array("0123456789ABCDEF".utf8)
  var encoded: [UInt8] = []
  for byte in bytes {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
      encoded.append(byte)
    default:
      encoded += [UInt8(ascii: "%"), hexadecimal[Int(byte >> 4)], hexadecimal[Int(byte & 15)]]
    }
  }
  return String(decoding: encoded, as: UTF8.self)
}
