// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RstreamConfig

struct PKCS11IdentityTests {
  private static let complete = [
    "kind": "pkcs11", "module": "/lib/token.so", "tokenLabel": "agents", "keyLabel": "key",
    "certificateFile": "agent.pem", "pinEnv": "AGENT_PIN",
  ]

  private func certificate(_ changes: [String: String?] = [:]) throws -> ClientCertificate? {
    var settings = ClientSettings()
    for (name, value) in Self.complete.merging(changes.compactMapValues { $0 }, uniquingKeysWith: { $1 }) {
      if changes.keys.contains(name), changes[name] == .some(nil) { continue }
      try settings.set("auth.mtls.storage.\(name)", value)
    }
    return try settings.clientCertificate()
  }

  private func identity(_ changes: [String: String?] = [:]) throws -> PKCS11Identity? {
    guard case .pkcs11(let identity) = try certificate(changes) else { return nil }
    return identity
  }

  @Test func readsWhatIsChosen() throws {
    let plain = try #require(try identity())
    #expect(plain.token == .label("agents") && plain.key == .label("key") && plain.certificate == .file("agent.pem"))
    #expect(plain.module == "/lib/token.so" && plain.pinVariable == "AGENT_PIN" && plain.maximumSessions == 0)
    let other = try #require(
      try identity([
        "tokenLabel": nil, "slot": "18446744", "keyLabel": nil, "keyIdHex": "0A:fF 01", "certificateFile": nil,
        "certificateIdHex": "ff", "maxSessions": "3",
      ]))
    #expect(other.token == .slot(18_446_744) && other.key == .id([10, 255, 1]))
    #expect(other.certificate == .onToken(.id([255])) && other.maximumSessions == 3)
    #expect(try identity(["tokenLabel": nil, "tokenSerial": "77"])?.token == .serial("77"))
    #expect(
      try identity(["certificateFile": nil, "certificateLabel": "c"])?.certificate == .onToken(.label("c")))
    #expect(try identity(["certificateFile": nil, "certificate": "PEM"])?.certificate == .text("PEM"))
    #expect(try identity(["opensslProvider": "pkcs11"]) == plain)
  }

  @Test(
    arguments: [
      ["module": nil], ["pinEnv": nil], ["pinEnv": "a-b"], ["tokenLabel": nil], ["tokenSerial": "1"], ["slot": "0"],
      ["keyLabel": nil], ["keyIdHex": "00"], ["certificateFile": nil], ["certificate": "PEM"],
      ["certificateLabel": "c"], ["certificateIdHex": "00"], ["provider": "macos"],
      ["certificateSHA256": String(repeating: "0", count: 64)], ["exec.command": "/bin/true"],
    ] as [[String: String?]])
  func refusesWhatCannotBe(_ changes: [String: String?]) {
    #expect(throws: ConfigError.self) { try certificate(changes) }
  }
}
