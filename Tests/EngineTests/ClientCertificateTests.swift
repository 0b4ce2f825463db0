// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamConfig
import RstreamJSON
import RstreamNet
import TestSupport
import Testing

@testable import RstreamEngine

/// Clients that are known by a certificate, and how they find the API.
@Suite struct ClientCertificateTests {
  private func ask(
    _ harness: Harness, _ path: String, _ more: String = "", host: String = "localhost", certificate: Bool
  )
    throws -> (status: String, head: String, body: JSONValue?)
  {
    let peer = RawPeer(
      try harness.handshake(serverName: host, alpn: ["http/1.1"], certificate: certificate).get(), harness)
    peer.send("GET \(path) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\(more)\r\n")
    harness.run("a response") { peer.isEnded }
    let parts = peer.text.split(separator: "\r\n\r\n", maxSplits: 1)
    let body = try? JSONParser.parse(Array((parts.last ?? "").utf8))
    return (String(peer.text.dropFirst(9).prefix(3)), String(parts.first ?? ""), body)
  }

  private let discovery = "/.well-known/rstream/engine"
  private let closed = ["auth.open": "false", "auth.tokens": "static"]

  @Test func theDocumentSaysWhereTheAPIIs() throws {
    let harness = try Harness()
    let port = try #require(harness.engine.port(of: "tls"))
    let (status, head, body) = try ask(harness, discovery, certificate: false)
    #expect(status == "200" && head.contains("\r\nContent-Type: application/json"))
    #expect(head.contains("\r\nCache-Control: max-age=3600") && !head.contains("no-store"))
    #expect(body?["version"] == .integer(1) && body?["projectEndpoint"]?.string == "localhost")
    #expect(body?["mtlsApiUrl"]?.string == "https://localhost:\(port)/api")
    #expect(body?["capabilities"] == .array([.string("engine-api-mtls")]))
    harness.finish()
  }

  @Test func anEngineWithoutUseForCertificatesHasNoDocument() throws {
    let harness = try Harness(closed)
    #expect(try ask(harness, discovery, certificate: false).status == "404")
    #expect(try ask(harness, "/api/tunnels", certificate: true).status == "401", "nobody asked for the certificate")
    harness.finish()
  }

  @Test func certificatesOfTheAuthorityPermitEverything() throws {
    let harness = try Harness(closed.merging(["auth.mtls.ca_file": TestCertificate.certificateFile]) { $1 })
    #expect(try ask(harness, discovery, certificate: true).status == "200")
    #expect(try ask(harness, "/api/tunnels", certificate: true).status == "200")
    #expect(try ask(harness, "/api/tunnels", certificate: false).status == "401")
    let both = try ask(harness, "/api/tunnels", "Authorization: Bearer static\r\n", certificate: true)
    #expect(both.status == "401")
    #expect(try ask(harness, "/api/tunnels", "Authorization: Bearer static\r\n", certificate: false).status == "200")
    let peer = WirePeer(try harness.handshake(certificate: true).get(), harness)
    peer.openControl()
    guard case .openControlChannelRsp(let response) = peer.next(), case .ok = response.payload else {
      return #expect(Bool(false), "the control channel was refused")
    }
    _ = try peer.privateTunnel("x")
    harness.finish()
  }

  @Test(arguments: [true, false])
  func certificatesOfOthersAreRefused(open: Bool) throws {
    var template = Array("/tmp/rstream-tests-XXXXXX".utf8CString)
    let directory = String(cString: mkdtemp(&template))
    let other = try DevelopmentCA.prepare(
      stateDirectory: directory, HostNamespace(engineHost: "localhost"), now: Clock.seconds)
    let harness = try Harness(["auth.open": "\(open)", "auth.mtls.ca_file": other.caFile])
    #expect(try ask(harness, "/api/tunnels", certificate: true).status == "401")
    #expect(try ask(harness, "/api/tunnels", certificate: false).status == (open ? "200" : "401"))
    let peer = WirePeer(try harness.handshake(certificate: true).get(), harness)
    peer.openControl()
    guard case .openControlChannelRsp(let response) = peer.next(), case .error(let error) = response.payload else {
      return #expect(Bool(false), "the control channel was not refused")
    }
    #expect(error.code == .unauthorized && error.message?.contains("authority") == true)
    harness.finish()
  }

  @Test func aHostOfItsOwnAsksAndTheOrdinaryOneDoesNot() throws {
    let harness = try Harness(
      closed.merging([
        "auth.mtls.ca_file": TestCertificate.certificateFile, "auth.mtls.api_host": "localhost.mtls.test",
      ]) { $1 })
    let port = try #require(harness.engine.port(of: "tls"))
    let url = try ask(harness, discovery, certificate: false).body?["mtlsApiUrl"]?.string
    #expect(url == "https://localhost.mtls.test:\(port)/api")
    #expect(try ask(harness, "/api/tunnels", host: "localhost.mtls.test", certificate: true).status == "200")
    #expect(try ask(harness, "/api/tunnels", host: "localhost.mtls.test", certificate: false).status == "401")
    #expect(try ask(harness, "/api/tunnels", certificate: true).status == "401", "nobody asked for the certificate")
    harness.finish()
  }

  @Test func settingsThatCannotWork() throws {
    for (settings, words) in [
      (["auth.mtls.api_host": "other.mtls.test"], "begin with localhost"),
      (["auth.mtls.api_host": "localhost.t.localhost"], "names that tunnels can have"),
      (["auth.mtls.ca_file": "/nowhere"], "/nowhere"),
    ] {
      do {
        try Harness(settings).finish()
        #expect(Bool(false), "taken: \(settings)")
      } catch let failure as Failure { #expect(failure.message.contains(words)) }
    }
  }
}
