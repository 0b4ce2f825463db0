// SPDX-License-Identifier: Apache-2.0
import RstreamConfig

@testable import RstreamEngine

// Any bytes as a token, which nobody signed, and as the claims of one that was signed.

private let secret = "0123456789abcdef0123456789abcdef"

private let authenticator: Authenticator = {
  var settings = EngineSettings()
  try? settings.set("auth.jwt.enabled", "true")
  try? settings.set("auth.jwt.token_jwt_secret", secret)
  try? settings.set("auth.tokens", "static")
  return Authenticator(settings)
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: start, count: count))
  let text = String(decoding: input, as: UTF8.self)
  if (try? authenticator.authenticate(text, now: 1000)) != nil, text != "static" { fatalError("accepted: \(text)") }
  checkClient(text)

  let signed = "eyJhbGciOiJIUzI1NiJ9." + base64url(input)
  guard let signature = Digest.hmacSHA256(Array(signed.utf8), key: Array(secret.utf8)) else { return 0 }
  let token = "\(signed).\(base64url(signature))"
  do {
    let grant = try authenticator.authenticate(token, now: 1000)
    // Nobody gets more than an unrestricted token, and restrictions are never dropped.
    if text.contains("\"resources\":{\"tunnels\":{\"OR\"") { fatalError("accepted with \(grant)") }
  } catch {
    if error == .wrongSignature || error == .unknown { fatalError("refused a good signature: \(error)") }
  }
  checkClient(token)
  return 0
}

/// What a client makes of its own token.
private func checkClient(_ token: String) {
  var settings = ClientSettings()
  guard (try? settings.set("auth.token", token)) != nil, (try? settings.set("engine", "e")) != nil else { return }
  do { try settings.validate(now: 1000) } catch {
    if error.kind != .tokenExpired { fatalError("\(error)") }
  }
}

private func base64url(_ bytes: [UInt8]) -> String {
  let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
  var text: [UInt8] = []
  for start in stride(from: 0, to: bytes.count, by: 3) {
    let group = bytes[start..<min(start + 3, bytes.count)]
    let number = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
    text += [18, 12, 6, 0].prefix(group.count + 1).map { alphabet[number >> $0 & 63] }
  }
  return String(decoding: text, as: UTF8.self)
}
