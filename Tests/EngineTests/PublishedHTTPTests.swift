// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire
import TestSupport
import Testing

@testable import RstreamEngine

@Suite struct PublishedHTTPTests {
  /// An engine, a client of it and its published tunnel.
  private func published(
    _ settings: [String: String] = [:], _ adjust: (inout TunnelProperties) -> Void = { $0.name = "web" }
  ) throws -> (Harness, WirePeer, TunnelProperties) {
    let harness = try Harness(settings)
    let client = try harness.client()
    return (harness, client, try client.tunnel { adjust(&$0) })
  }

  private func consumer(_ harness: Harness, _ host: String?) throws -> RawPeer {
    RawPeer(try harness.handshake(serverName: try #require(host), alpn: ["http/1.1"]).get(), harness)
  }

  private func get(_ host: String?, _ path: String = "/", _ more: String = "") -> String {
    "GET \(path) HTTP/1.1\r\nHost: \(host ?? "")\r\n\(more)\r\n"
  }

  /// Runs until the service has a whole head and gives it.
  private func head(_ service: RawPeer, _ location: SourceLocation = #_sourceLocation) -> String {
    service.harness.run("a request", location) { service.text.hasSuffix("\r\n\r\n") }
    return service.take()
  }

  private func answer(_ consumer: RawPeer, _ location: SourceLocation = #_sourceLocation) -> String {
    consumer.harness.run("a response", location) {
      consumer.received.last == UInt8(ascii: "\n") || consumer.isEnded || consumer.failure != nil
    }
    return consumer.take()
  }

  private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"

  @Test func aRequestReachesTheService() throws {
    let (harness, client, tunnel) = try published()
    let consumer = try consumer(harness, tunnel.hostname)
    consumer.send(
      get(
        tunnel.host, "/a/../b?c=%2F",
        "Origin: https://x\r\nX-Forwarded-For: 9.9.9.9\r\nX_forwarded-Host: x\r\nForwarded: for=x\r\n"))
    let request = try client.nextRequest()
    #expect(request.sourceIP == .v4(0x7F00_0001))
    let service = try client.deliver(request)
    let host = try #require(tunnel.host)
    #expect(
      head(service)
        == "GET /a/../b?c=%2F HTTP/1.1\r\nHost: \(host)\r\nOrigin: https://x\r\nX-Forwarded-For: 127.0.0.1\r\n"
        + "X-Forwarded-Proto: https\r\nX-Forwarded-Host: \(host)\r\n\r\n")
    service.send(ok)
    #expect(answer(consumer) == ok)
    // The same connection and the same stream again.
    consumer.send(get(tunnel.host, "/again"))
    #expect(head(service).hasPrefix("GET /again HTTP/1.1\r\n"))
    service.send(ok)
    #expect(answer(consumer) == ok)
    harness.finish()
  }

  @Test func requestsGoWhereTheirHostSays() throws {
    let harness = try Harness()
    let (one, other) = (try harness.client(), try harness.client())
    let (first, second) = (try one.tunnel { $0.name = "a" }, try other.tunnel { $0.name = "b" })
    let consumer = try consumer(harness, first.hostname)
    consumer.send(get(first.host))
    let firstService = try one.deliver(one.nextRequest())
    _ = head(firstService)
    firstService.send(ok)
    #expect(answer(consumer) == ok)
    one.close()
    harness.run("the client's end") { harness.engine.clients.count == 1 }
    for (index, host) in [
      second.hostname, second.host, second.hostname?.uppercased(), second.hostname.map { "\($0)." },
    ]
    .enumerated() {
      consumer.send(get(host, "/\(index)"))
      let service = try other.deliver(other.nextRequest())
      #expect(head(service).hasPrefix("GET /\(index) HTTP/1.1\r\nHost: \(host ?? "")\r\n"))
      service.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")
      #expect(answer(consumer) == ok)
    }
    consumer.send(get(first.host))
    #expect(answer(consumer).hasPrefix("HTTP/1.1 404 Not Found\r\n"))
    consumer.send("GET http://\(second.hostname ?? "")/x HTTP/1.1\r\nHost: elsewhere\r\n\r\n")
    #expect(
      head(try other.deliver(other.nextRequest())).hasPrefix("GET /x HTTP/1.1\r\nHost: \(second.hostname ?? "")\r\n"))
    harness.finish()
  }

  @Test func hostsThatAreNotServedHere() throws {
    let harness = try Harness()
    let client = try harness.client()
    let web = try client.tunnel { $0.name = "web" }
    let tls = try client.tunnel { $0.protocol = "tls" }
    let consumer = try consumer(harness, web.hostname)
    for (host, status) in [("nobody.t.localhost", 404), ("localhost", 421), (tls.hostname, 421), ("[::1]:1", 404)] {
      consumer.send(get(host))
      #expect(answer(consumer).hasPrefix("HTTP/1.1 \(status) "))
    }
    consumer.send("GET / HTTP/1.0\r\n\r\n")
    #expect(
      head(try client.deliver(client.nextRequest())).hasPrefix("GET / HTTP/1.1\r\nHost: \(web.hostname ?? "")\r\n"))
    harness.finish()
  }

  @Test func anOwnerThatDoesNotDeliverIs504() throws {
    let (harness, client, tunnel) = try published(["timeouts.stream_request_seconds": "1"])
    let consumer = try consumer(harness, tunnel.hostname)
    consumer.send(get(tunnel.host))
    _ = try client.nextRequest()
    #expect(answer(consumer).hasPrefix("HTTP/1.1 504 "))
    harness.finish()
  }

  @Test func failuresAreToldApart() throws {
    let (harness, client, tunnel) = try published()
    let consumer = try consumer(harness, tunnel.hostname)

    consumer.send(get(tunnel.host))
    client.send(.proxyConnRsp(ProxyConnRsp(streamID: try client.nextRequest().streamID, error: PeerError(.internal))))
    #expect(answer(consumer).hasPrefix("HTTP/1.1 502 "))

    consumer.send(get(tunnel.host))
    let silent = try client.deliver(client.nextRequest())
    _ = head(silent)
    silent.channel.close()
    #expect(answer(consumer).hasPrefix("HTTP/1.1 502 "))

    consumer.send(get(tunnel.host))
    let garbage = try client.deliver(client.nextRequest())
    _ = head(garbage)
    garbage.send("220 this is no web server\r\n")
    #expect(answer(consumer).hasPrefix("HTTP/1.1 502 "))

    consumer.send(get(tunnel.host))
    _ = try client.nextRequest()
    client.close()
    #expect(answer(consumer).hasPrefix("HTTP/1.1 502 "))
    consumer.send(get(tunnel.host))
    #expect(answer(consumer).hasPrefix("HTTP/1.1 404 "))
    harness.finish()
  }

  @Test func aStaleConnectionIsReplacedOnceForWhatCanBeRepeated() throws {
    let (harness, client, tunnel) = try published()
    for (method, repeats) in [("GET", true), ("DELETE", true), ("POST", false)] {
      let consumer = try consumer(harness, tunnel.hostname)
      consumer.send(get(tunnel.host))
      let first = try client.deliver(client.nextRequest())
      _ = head(first)
      first.send(ok)
      #expect(answer(consumer) == ok)
      consumer.send("\(method) /again HTTP/1.1\r\nHost: \(tunnel.host ?? "")\r\n\r\n")
      _ = head(first)
      first.channel.close()
      if repeats {
        let second = try client.deliver(client.nextRequest())
        #expect(head(second).hasPrefix("\(method) /again HTTP/1.1\r\n"))
        second.channel.close()
      }
      #expect(answer(consumer).hasPrefix("HTTP/1.1 502 "))
    }
    harness.finish()
  }

  @Test func anIdleConnectionThatTheServiceClosedIsNotUsed() throws {
    let (harness, client, tunnel) = try published()
    let consumer = try consumer(harness, tunnel.hostname)
    consumer.send(get(tunnel.host))
    let first = try client.deliver(client.nextRequest())
    _ = head(first)
    first.send(ok)
    #expect(answer(consumer) == ok)
    first.channel.close()
    harness.settle()
    consumer.send("POST / HTTP/1.1\r\nHost: \(tunnel.host ?? "")\r\nContent-Length: 0\r\n\r\n")
    #expect(head(try client.deliver(client.nextRequest())).hasPrefix("POST / "))
    harness.finish()
  }

  @Test func aConsumerThatLeavesIsNotServed() throws {
    let (harness, client, tunnel) = try published()
    let early = try consumer(harness, tunnel.hostname)
    early.send(get(tunnel.host))
    let request = try client.nextRequest()
    early.channel.close()
    harness.settle()
    try client.deliver(request).expectGone()

    let late = try consumer(harness, tunnel.hostname)
    late.send(get(tunnel.host))
    let service = try client.deliver(client.nextRequest())
    _ = head(service)
    late.channel.close()
    service.expectGone()
    harness.finish()
  }

  @Test func trustedAddressesAreCheckedForEveryRequest() throws {
    let harness = try Harness()
    let client = try harness.client()
    let open = try client.tunnel { $0.name = "open" }
    let closed = try client.tunnel { $0.trustedIPs = ["192.0.2.0/24"] }
    let consumer = try consumer(harness, open.hostname)
    consumer.send(get(closed.host))
    #expect(answer(consumer).hasPrefix("HTTP/1.1 403 "))
    harness.finish()
  }

  @Test func aTunnelThatAsksForATokenGetsOnlyRequestsThatHaveOne() throws {
    let (harness, client, tunnel) = try published(["auth.tokens": "right"]) { $0.tokenAuth = true }
    let consumer = try consumer(harness, tunnel.hostname)
    consumer.send(get(tunnel.host))
    let refusal = answer(consumer)
    #expect(refusal.hasPrefix("HTTP/1.1 401 ") && refusal.contains("\r\nWWW-Authenticate: Bearer\r\n"))
    consumer.send(get(tunnel.host, "/?rstream.token=wrong"))
    #expect(answer(consumer).hasPrefix("HTTP/1.1 401 "))

    consumer.send(get(tunnel.host, "/x?a=1&rstream.token=right&b=2"))
    let service = try client.deliver(client.nextRequest())
    #expect(head(service).hasPrefix("GET /x?a=1&b=2 HTTP/1.1\r\n"))
    service.send(ok)
    #expect(answer(consumer) == ok)
    consumer.send(get(tunnel.host, "/y", "Authorization: Bearer right\r\n"))
    let request = head(service)
    #expect(request.hasPrefix("GET /y HTTP/1.1\r\n") && !request.contains("right"))
    harness.finish()
  }

  @Test func aServiceMaySpeakTLS() throws {
    let (harness, client, tunnel) = try published { $0.upstreamTLS = true }
    let consumer = try consumer(harness, tunnel.hostname)
    consumer.send(get(tunnel.host))
    var settings = TLSContext.ServerSettings()
    settings.certificateFile = TestCertificate.certificateFile
    settings.keyFile = TestCertificate.keyFile
    settings.alpn = .require(["http/1.1"])
    let stream = try client.deliver(client.nextRequest()).channel
    var done = false
    let secure = try TLSChannel(server: TLSContext(server: settings), over: stream) { done = $0 == nil }
    harness.run("TLS to the service") { done }
    let service = RawPeer(secure, harness)
    #expect(head(service).hasPrefix("GET / "))
    service.send(ok)
    #expect(answer(consumer) == ok)

    let other = try self.consumer(harness, tunnel.hostname)
    other.send(get(tunnel.host))
    let plain = try client.deliver(client.nextRequest())
    plain.send("not TLS at all")
    #expect(answer(other).hasPrefix("HTTP/1.1 502 "))
    harness.finish()
  }

  @Test func connectGoesToTheTunnelOfTheConnection() throws {
    let (harness, client, tunnel) = try published { $0.name = "proxy" }
    let consumer = try consumer(harness, tunnel.hostname)
    consumer.send("CONNECT far.test:22 HTTP/1.1\r\nHost: far.test:22\r\n\r\n")
    let service = try client.deliver(client.nextRequest())
    #expect(head(service).hasPrefix("CONNECT far.test:22 HTTP/1.1\r\nHost: far.test:22\r\n"))
    service.send("HTTP/1.1 200 Connection Established\r\n\r\n")
    #expect(answer(consumer) == "HTTP/1.1 200 Connection Established\r\n\r\n")
    consumer.send("there")
    service.expect("there")
    harness.finish()
  }

  @Test func http2IsNotOfferedToServicesBehindOurBack() throws {
    let (harness, client, tunnel) = try published()
    let consumer = try consumer(harness, tunnel.hostname)
    consumer.send(
      get(tunnel.host, "/", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n"))
    let request = head(try client.deliver(client.nextRequest())).lowercased()
    #expect(!request.contains("h2c") && !request.contains("http2-settings") && !request.contains("connection"))
    harness.finish()
  }

  @Test func drainingLetsRequestsEnd() throws {
    let (harness, client, tunnel) = try published()
    let idle = try consumer(harness, tunnel.hostname)
    let busy = try consumer(harness, tunnel.hostname)
    busy.send(get(tunnel.host))
    let service = try client.deliver(client.nextRequest())
    _ = head(service)
    var hasStopped = false
    try harness.engine.stop { hasStopped = true }
    idle.expectEnd()
    service.send(ok)
    #expect(answer(busy) == ok.replacing("\r\n\r\n", with: "\r\nConnection: close\r\n\r\n"))
    busy.expectEnd()
    harness.run("the engine's stop") { hasStopped }
    harness.finish()
  }
}
