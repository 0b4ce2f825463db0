// SPDX-License-Identifier: Apache-2.0
import CUV
import Glibc
import RstreamConfig
import RstreamNet
import RstreamWire
import TestSupport
import Testing

@testable import RstreamEngine

@Suite struct LifecycleTests {
  /// A client with a stream that a consumer uses.
  private func streaming(_ harness: Harness) throws -> (client: WirePeer, consumer: RawPeer, service: RawPeer) {
    let client = try harness.client()
    let id = try client.privateTunnel("t").id ?? ""
    let dialer = try harness.wire()
    dialer.sendStreamReq(id)
    let service = try client.deliver(client.nextRequest())
    let consumer = dialer.detach()
    consumer.send("a")
    service.expect("a")
    return (client, consumer, service)
  }

  @Test func stopTellsClientsAndLetsStreamsEnd() throws {
    let harness = try Harness(["tcp.port_range": "20000-60000"])
    let (client, consumer, service) = try streaming(harness)
    _ = try client.tunnel { $0.protocol = "tcp" }
    let waiting = try harness.wire()
    waiting.sendStreamReq("t", zeroRTT: false)
    _ = try client.nextRequest()
    var stops = 0
    try harness.engine.stop { stops += 1 }
    #expect(stops == 0)
    try harness.engine.stop { stops += 1 }
    #expect(client.next() == .closeControlChannelRsp(CloseControlChannelRsp()))
    client.expectEnd()
    guard case .streamRsp(let response) = waiting.next(), case .error = response.payload else {
      throw Harness.HarnessError.refused
    }
    #expect(harness.engine.port(of: "tls") == nil)
    consumer.send("b")
    service.expect("ab")
    #expect(stops == 0)
    consumer.channel.shutdown()
    service.expectEnd()
    service.channel.shutdown()
    harness.run("the engine's stop") { stops == 2 }
    try harness.engine.stop { stops += 1 }
    harness.run("the answer of a stopped engine") { stops == 3 }
    #expect(throws: Failure.self) { try harness.engine.start() }
    harness.finish()
  }

  @Test func stopCutsStreamsWhenItsTimeIsUp() throws {
    let harness = try Harness(["timeouts.drain_seconds": "1"])
    let (_, consumer, service) = try streaming(harness)
    var isStopped = false
    try harness.engine.stop { isStopped = true }
    harness.run("the engine's stop") { isStopped }
    consumer.expectGone()
    service.expectGone()
    harness.finish()
  }

  @Test func closeEndsEverythingAtOnce() throws {
    let harness = try Harness()
    let (client, consumer, service) = try streaming(harness)
    var order: [String] = []
    try harness.engine.stop { order.append("stop") }
    try harness.engine.close { order.append("close") }
    #expect(order.isEmpty)
    #expect(throws: Failure.self) { try harness.engine.close {} }
    #expect(throws: Failure.self) { try harness.engine.stop {} }
    harness.run("the close") { order.count == 2 }
    #expect(order == ["stop", "close"])
    client.expectEnd()
    consumer.expectGone()
    service.expectGone()
    harness.finish()
  }

  @Test func theLoopEndsItsEngine() throws {
    let harness = try Harness()
    _ = try streaming(harness)
    harness.finish()
  }

  @Test func aTakenAddressIsToldAndNothingIsLeft() throws {
    let harness = try Harness()
    var settings = harness.engine.settings
    try settings.set("tls.listen_addr", "127.0.0.1:\(harness.engine.port(of: "tls") ?? 0)")
    let second = try Engine(harness.loop, settings)
    let failure = #expect(throws: Failure.self) { try second.start() }
    #expect(failure?.code == UV_EADDRINUSE.rawValue)
    #expect(second.port(of: "tls") == nil)
    harness.finish()
  }

  @Test(arguments: ["tls.listen_addr", "http.listen_addr", "tcp.listen_host"])
  func addressesThatAreNotOfThisMachineAreRefusedAtTheStart(setting: String) throws {
    let harness = try Harness()
    var settings = harness.engine.settings
    try settings.set("tcp.port_range", "20000-60000")
    try settings.set("http.enabled", "true")
    try settings.set("http.listen_addr", "127.0.0.1:0")
    try settings.set(setting, setting == "tcp.listen_host" ? "somewhere.example" : "somewhere.example:0")
    let engine = try Engine(harness.loop, settings)
    let failure = #expect(throws: Failure.self) { try engine.start() }
    #expect(failure?.code == ErrorCode.invalidConfig)
    #expect(failure?.message.contains("somewhere.example") == true)
    #expect(engine.port(of: "tls") == nil)
    harness.finish()
  }

  @Test func developmentModeMakesItsOwnCertificate() throws {
    var template = Array("/tmp/rstream-engine-XXXXXX".utf8CString)
    let directory = String(cString: mkdtemp(&template))
    for _ in 1...2 {
      let harness = try Harness(
        ["dev.enabled": "true", "dev.state_dir": "\(directory)/state", "engine.host": "demo.localhost"],
        certificate: false)
      let file = try #require(harness.engine.info("ca_file"))
      let port = harness.engine.port(of: "tls") ?? 0
      #expect(harness.engine.info("host") == "demo.localhost")
      #expect(harness.engine.info("address") == "demo.localhost:\(port)")
      var settings = TLSContext.ClientSettings()
      settings.caFile = file
      settings.alpn = ["http/1.1"]
      let context = try TLSContext(client: settings)
      for name in ["demo.localhost", "label.t.demo.localhost", "slug-demo.t.localhost", "127.0.0.1"] {
        var result: Result<Void, Failure>?
        let channel = try TLSChannel(client: context, over: harness.connect(), serverName: name) { failure in
          result = failure.map { .failure($0) } ?? .success(())
        }
        harness.run("the handshake with \(name)") { result != nil }
        try #require(result).get()
        channel.close()
      }
      harness.finish()
    }
    #expect(system("rm -r \(directory)") == 0)
  }

  @Test func theCertificateIsReadAgainWhenItChanges() throws {
    var template = Array("/tmp/rstream-engine-XXXXXX".utf8CString)
    let directory = String(cString: mkdtemp(&template))
    let (certificate, key) = ("\(directory)/cert.pem", "\(directory)/key.pem")
    func run(_ command: String) { #expect(system(command) == 0) }
    run("cp \(TestCertificate.certificateFile) \(certificate) && cp \(TestCertificate.keyFile) \(key)")
    let harness = try Harness(["certs.static.cert_file": certificate, "certs.static.key_file": key])
    let store = try #require(harness.engine.certificates)
    let first = store.current()
    #expect(store.current() === first)
    run("echo nonsense > \(certificate)")
    #expect(store.current() === first)
    _ = try harness.handshake().get()
    run("cp \(TestCertificate.certificateFile) \(certificate)")
    #expect(store.current() !== first)
    _ = try harness.handshake().get()
    run("rm -r \(directory)")
    harness.finish()
  }
}
