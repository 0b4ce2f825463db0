// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamJSON
import RstreamWire

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

  let claims = Array(#"{"type":"auth","resources":{"tunnels":"#.utf8) + input + Array("}}".utf8)
  for claims in [input, claims] {
    let signed = "eyJhbGciOiJIUzI1NiJ9." + base64url(claims)
    guard let signature = Digest.hmacSHA256(Array(signed.utf8), key: Array(secret.utf8)) else { return 0 }
    let token = "\(signed).\(base64url(signature))"
    do {
      check(try authenticator.authenticate(token, now: 1000))
    } catch {
      if error == .wrongSignature || error == .unknown { fatalError("refused a good signature: \(error)") }
    }
    checkClient(token)
  }
  return 0
}

private let requested: TunnelProperties = {
  var properties = TunnelProperties()
  properties.name = "web"
  properties.publish = true
  properties.labels = ["team": "red"]
  return properties
}()

private let tunnel = TunnelRecord(properties: requested, clientID: "c", userID: "u").json

/// What a boundary makes of tunnels never contradicts itself, and never shows or changes what is not its to.
private func check(_ grant: AccessGrant) {
  func expect(_ condition: Bool, _ what: @autoclosure () -> String) {
    if !condition { fatalError("\(what()): \(grant)") }
  }
  expect(grant.isForThisEngine || grant.shown(.tunnels, tunnel) == nil, "a foreign token sees something")
  expect(grant.permits(.createStreams) || !grant.permitsStream(of: tunnel, path: []), "a stream that is not permitted")
  expect(!grant.permitsStream(of: tunnel) || grant.permits(.createStreams), "a dial that is not permitted")
  expect(!grant.showsClients || grant.shown(.tunnels, tunnel) == tunnel, "clients, and not every tunnel")
  if case .object(let shown)? = grant.shown(.tunnels, tunnel), case .object(let all) = tunnel {
    expect(shown.allSatisfy(all.contains), "something else is shown")
  }
  if let properties = grant.properties(for: requested) {
    expect(grant.permits(.createTunnels), "a tunnel that is not permitted")
    expect(properties.name == "web" && properties.publish == true, "what was asked for is changed")
    expect(properties.labels["team"] == "red", "a label is changed")
  }
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
