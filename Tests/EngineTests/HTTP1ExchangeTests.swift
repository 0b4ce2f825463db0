// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import Testing

@testable import RstreamEngine

struct HTTP1ExchangeTests {
  private let get = "GET /a%20b/../c?d=e HTTP/1.1\r\nHost: x.test:8443\r\nX-One: 1\r\n\r\n"

  @Test func aRequestAndItsResponsePass() throws {
    let gateway = try HTTPGateway()
    gateway.client.send(get)
    let service = try gateway.service()
    #expect(service.take() == get)
    service.send("HTTP/1.1 200 Fine\r\nX-Two: 2\r\nContent-Length: 2\r\n\r\nok")
    gateway.test.run { gateway.client.text.hasSuffix("ok") }
    #expect(gateway.client.take() == "HTTP/1.1 200 Fine\r\nX-Two: 2\r\nContent-Length: 2\r\n\r\nok")
    #expect(gateway.upstreams.last?.isReusable == true)
    gateway.close()
  }

  @Test func theConnectionServesOneRequestAfterTheOther() throws {
    let gateway = try HTTPGateway()
    gateway.client.send(get + get.replacing("/a%20b", with: "/second"))
    let first = try gateway.service()
    #expect(gateway.services.count == 1)
    first.send("HTTP/1.1 204 No Content\r\n\r\n")
    gateway.test.run { gateway.services.count == 2 && !gateway.services[1].received.isEmpty }
    #expect(gateway.services[1].text.hasPrefix("GET /second"))
    #expect(gateway.client.take() == "HTTP/1.1 204 No Content\r\n\r\n")
    gateway.services[1].send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    gateway.test.run { gateway.client.text.hasSuffix("\r\n\r\n") }
    #expect(gateway.client.take() == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    gateway.close()
  }

  @Test func chunksPassBothWaysWithTrailers() throws {
    let gateway = try HTTPGateway()
    let body = "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n"
    gateway.client.send("POST / HTTP/1.1\r\nHost: x\r\n" + body)
    let service = try gateway.service()
    gateway.test.run { service.text.hasSuffix("X-Sum: 1\r\n\r\n") }
    #expect(service.take() == "POST / HTTP/1.1\r\nHost: x\r\n" + body)
    service.send("HTTP/1.1 200 OK\r\n" + body)
    gateway.test.run { gateway.client.text.hasSuffix("X-Sum: 1\r\n\r\n") }
    #expect(gateway.client.take() == "HTTP/1.1 200 OK\r\n" + body)
    gateway.close()
  }

  @Test func everyEventIsPassedOnAtOnce() throws {
    let gateway = try HTTPGateway()
    gateway.client.send(get)
    let service = try gateway.service()
    service.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    gateway.test.run { gateway.client.text.hasSuffix("\r\n\r\n") }
    #expect(gateway.client.take().contains("Transfer-Encoding: chunked\r\n"))
    for event in ["data: 1\n\n", "data: 2\n\n"] {
      service.send(event)
      gateway.test.run { !gateway.client.received.isEmpty }
      #expect(gateway.client.take() == "9\r\n\(event)\r\n")
    }
    service.channel.shutdown()
    gateway.test.run { !gateway.client.received.isEmpty }
    #expect(gateway.client.take() == "0\r\n\r\n")
    #expect(!gateway.client.isOver)
    gateway.close()
  }

  @Test func anHTTP10ClientGetsAPlainBodyThatEndsWithTheConnection() throws {
    let gateway = try HTTPGateway()
    gateway.client.send("GET / HTTP/1.0\r\nHost: x\r\n\r\n")
    let service = try gateway.service()
    service.send(
      "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    )
    gateway.test.run { gateway.client.isOver }
    #expect(gateway.client.text == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc")
    #expect(gateway.client.hasEnded)
    gateway.close()
  }

  @Test func anHTTP10ClientMayKeepTheConnection() throws {
    let gateway = try HTTPGateway()
    gateway.client.send("GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n")
    try gateway.service().send("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na")
    gateway.test.run { gateway.client.text.hasSuffix("a") }
    #expect(gateway.client.take() == "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\na")
    #expect(!gateway.client.isOver)
    #expect(gateway.upstreams.last?.isReusable == false)
    gateway.close()
  }

  @Test func continueIsTheServicesDecision() throws {
    let gateway = try HTTPGateway()
    gateway.client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    let service = try gateway.service()
    #expect(service.take().contains("Expect: 100-continue\r\n"))
    #expect(gateway.client.received.isEmpty)
    service.send("HTTP/1.1 100 Continue\r\n\r\n")
    gateway.test.run { !gateway.client.received.isEmpty }
    #expect(gateway.client.take() == "HTTP/1.1 100 Continue\r\n\r\n")
    gateway.client.send("body")
    gateway.test.run { service.text == "body" }
    service.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    gateway.test.run { !gateway.client.received.isEmpty }
    #expect(gateway.client.take() == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    gateway.close()
  }

  @Test func aRefusalInsteadOfContinueEndsTheConnection() throws {
    let gateway = try HTTPGateway()
    gateway.client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    try gateway.service().send("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
    gateway.test.run { gateway.client.isOver }
    #expect(gateway.client.text == "HTTP/1.1 417 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    gateway.close()
  }

  @Test func headHasNoBody() throws {
    let gateway = try HTTPGateway()
    gateway.client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
    try gateway.service().send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    gateway.test.run { gateway.client.text.hasSuffix("\r\n\r\n") }
    #expect(gateway.client.take() == "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    #expect(gateway.upstreams.last?.isReusable == true)
    gateway.close()
  }

  @Test func hopByHopFieldsStayOnTheirHop() throws {
    let gateway = try HTTPGateway()
    gateway.client.send(
      "GET / HTTP/1.1\r\nHost: x\r\nConnection: X-Mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nX-Other: 2\r\n\r\n"
    )
    let service = try gateway.service()
    #expect(service.take() == "GET / HTTP/1.1\r\nHost: x\r\nX-Other: 2\r\n\r\n")
    service.send(
      "HTTP/1.1 200 OK\r\nConnection: X-Yours, keep-alive\r\nX-Yours: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n"
    )
    gateway.test.run { !gateway.client.received.isEmpty }
    #expect(gateway.client.take() == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    gateway.close()
  }

  @Test(arguments: [
    "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\nnonsense\r\n",
  ])
  func aResponseThatBreaksOffIsNotCompleted(response: String) throws {
    let gateway = try HTTPGateway()
    gateway.client.send(get)
    let service = try gateway.service()
    service.send(response)
    service.channel.shutdown()
    gateway.test.run { gateway.client.isOver }
    #expect(gateway.client.text.contains("only this"))
    #expect(!gateway.client.text.hasSuffix("0\r\n\r\n"))
    gateway.close()
  }

  @Test func aBrokenResponseResetsAnHTTP10Client() throws {
    let gateway = try HTTPGateway()
    gateway.client.send("GET / HTTP/1.0\r\nHost: x\r\n\r\n")
    let service = try gateway.service()
    service.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
    gateway.test.run { gateway.client.text.hasSuffix("ab") }
    service.channel.close()
    gateway.test.run { gateway.client.isOver }
    gateway.close()
  }

  @Test func aServiceThatSaysNothingIs502() throws {
    let gateway = try HTTPGateway()
    gateway.client.send(get)
    try gateway.service().channel.shutdown()
    gateway.test.run { gateway.client.isOver }
    #expect(gateway.client.text.hasPrefix("HTTP/1.1 502 Bad Gateway\r\n"))
    gateway.close()
  }

  @Test func aClientThatLeavesTakesTheServicesConnectionAlong() throws {
    let gateway = try HTTPGateway()
    gateway.client.send(get)
    let service = try gateway.service()
    gateway.client.channel.close()
    gateway.test.run { service.isOver }
    gateway.close()
  }

  @Test func anUpgradeJoinsTheConnectionsWithWhatLiesBehindTheHeads() throws {
    let gateway = try HTTPGateway()
    gateway.client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: chat\r\n\r\nearly")
    let service = try gateway.service()
    #expect(service.take() == "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
    service.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\nConnection: Upgrade\r\n\r\nfirst")
    gateway.test.run { gateway.client.text.hasSuffix("first") && service.text == "early" }
    #expect(
      gateway.client.take()
        == "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\nfirst")
    gateway.client.send(" and more")
    gateway.client.channel.shutdown()
    gateway.test.run { service.hasEnded }
    #expect(service.take() == "early and more")
    service.send("after the end")
    gateway.test.run { gateway.client.text == "after the end" }
    service.channel.shutdown()
    gateway.test.run { gateway.client.hasEnded && gateway.hasEnded }
    gateway.close()
  }

  @Test func connectPassesToAServiceThatAgrees() throws {
    let gateway = try HTTPGateway()
    gateway.client.send("CONNECT far.test:22 HTTP/1.1\r\nHost: far.test:22\r\nProxy-Authorization: Basic eA==\r\n\r\n")
    let service = try gateway.service()
    #expect(
      service.take()
        == "CONNECT far.test:22 HTTP/1.1\r\nHost: far.test:22\r\nProxy-Authorization: Basic eA==\r\n\r\n")
    service.send("HTTP/1.1 200 Connection Established\r\n\r\nbanner")
    gateway.test.run { gateway.client.text.hasSuffix("banner") }
    #expect(gateway.client.take() == "HTTP/1.1 200 Connection Established\r\n\r\nbanner")
    gateway.client.send("hello")
    gateway.test.run { service.text == "hello" }
    gateway.close()
  }

  @Test func anUpgradeThatNobodyAskedForIs502() throws {
    let gateway = try HTTPGateway()
    gateway.client.send(get)
    try gateway.service().send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\nConnection: Upgrade\r\n\r\n")
    gateway.test.run { gateway.client.isOver }
    #expect(gateway.client.text.hasPrefix("HTTP/1.1 502 "))
    gateway.close()
  }

  @Test func aRefusedUpgradeIsAnOrdinaryResponse() throws {
    let gateway = try HTTPGateway()
    gateway.client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
    try gateway.service().send("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
    gateway.test.run { gateway.client.text.hasSuffix("no") }
    gateway.client.send(get)
    gateway.test.run { gateway.services.count == 2 }
    gateway.close()
  }

  @Test func aSlowClientStopsTheService() throws {
    let gateway = try HTTPGateway()
    gateway.client.send(get)
    let service = try gateway.service()
    gateway.client.channel.readStop()
    service.send("HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
    let piece = [UInt8](repeating: 0x61, count: 500_000)
    var sent = 0
    while sent < 50_000_000 {
      service.channel.write(piece)
      sent += piece.count
    }
    gateway.test.run { gateway.downstream.map { $0.queuedBytes > ByteChannel.highWater } == true }
    gateway.settle()
    // Sockets hold some; the rest stays with the service.
    #expect(service.channel.queuedBytes > 30_000_000)
    #expect(gateway.downstream.map { $0.queuedBytes < 1_000_000 } == true)
    gateway.client.channel.readStart()
    gateway.test.run { gateway.client.received.count > 50_000_000 }
    gateway.close()
  }

  @Test func aSlowServiceStopsTheClient() throws {
    let gateway = try HTTPGateway()
    gateway.client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n")
    let service = try gateway.service()
    service.channel.readStop()
    gateway.client.channel.write([UInt8](repeating: 0x61, count: 50_000_000))
    gateway.test.run { gateway.upstreams.last.map { $0.queuedBytes > ByteChannel.highWater } == true }
    gateway.settle()
    #expect(gateway.client.channel.queuedBytes > 30_000_000)
    #expect(gateway.upstreams.last.map { $0.queuedBytes < 1_000_000 } == true)
    service.channel.readStart()
    gateway.test.run { service.received.count > 50_000_000 }
    gateway.close()
  }

  @Test func bodyThatComesBeforeTheServiceIsThereIsKept() throws {
    let gateway = try HTTPGateway()
    var waiting: HTTPExchange?
    gateway.onRequest = { _, exchange in waiting = exchange }
    gateway.client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000004\r\n\r\nbody")
    gateway.client.channel.write([UInt8](repeating: 0x61, count: 1_000_000))
    gateway.test.run { waiting != nil }
    gateway.settle()
    let exchange = try #require(waiting)
    gateway.forward(exchange)
    gateway.test.run { gateway.services[0].received.count > 1_000_000 }
    #expect(gateway.services[0].text.contains("\r\n\r\nbodyaaa"))
    gateway.close()
  }

  @Test(arguments: [
    ("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ("BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 501), ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
  ])
  func whatIsNoRequestIsRefused(request: String, status: Int) throws {
    let gateway = try HTTPGateway()
    gateway.client.send(request)
    gateway.test.run { gateway.client.isOver }
    #expect(gateway.client.text.hasPrefix("HTTP/1.1 \(status) "))
    #expect(gateway.client.text.contains("\r\nConnection: close\r\n"))
    #expect(gateway.services.isEmpty)
    gateway.close()
  }

  @Test func aHeaderThatIsTooLargeIsRefused() throws {
    let gateway = try HTTPGateway()
    gateway.client.send("GET / HTTP/1.1\r\nHost: x\r\nX: " + String(repeating: "a", count: 70_000) + "\r\n\r\n")
    gateway.test.run { gateway.client.isOver }
    #expect(gateway.client.text.hasPrefix("HTTP/1.1 431 "))
    gateway.close()
  }

  @Test func aBodyThatIsNoneIsRefusedAndTheServiceLetGo() throws {
    let gateway = try HTTPGateway()
    gateway.client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    let service = try gateway.service()
    gateway.client.send("zz\r\n")
    gateway.test.run { gateway.client.isOver && service.isOver }
    #expect(gateway.client.text.hasPrefix("HTTP/1.1 400 "))
    gateway.close()
  }

  @Test func theRestOfAnUnwantedBodyIsDropped() throws {
    let gateway = try HTTPGateway()
    gateway.onRequest = { _, exchange in exchange.answer(405, "no") }
    gateway.client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
    gateway.test.run { gateway.client.text.hasSuffix("no\n") }
    _ = gateway.client.take()
    gateway.client.send("0123456789" + get)
    gateway.test.run { gateway.client.text.hasSuffix("no\n") }
    #expect(gateway.client.take().hasPrefix("HTTP/1.1 405 "))
    gateway.client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n")
    gateway.client.channel.write([UInt8](repeating: 0x61, count: 1_000_000))
    gateway.test.run { gateway.client.isOver }
    gateway.close()
  }

  @Test func aHeadThatDoesNotComeInTimeIs408() throws {
    let gateway = try HTTPGateway(firstHead: 50)
    gateway.client.send("GET / HTTP/1.1\r\n")
    gateway.test.run { gateway.client.isOver }
    #expect(gateway.client.text.hasPrefix("HTTP/1.1 408 "))
    gateway.close()
  }

  @Test func aSecondHeadThatDoesNotComeInTimeIs408() throws {
    let gateway = try HTTPGateway(firstHead: 50)
    gateway.onRequest = { _, exchange in exchange.answer(200, "ok") }
    gateway.client.send(get)
    gateway.test.run { gateway.client.text.hasSuffix("ok\n") }
    _ = gateway.client.take()
    gateway.settle()
    #expect(!gateway.client.isOver)
    gateway.client.send("GET / HTTP/1.1\r\n")
    gateway.test.run { gateway.client.isOver }
    #expect(gateway.client.text.hasPrefix("HTTP/1.1 408 "))
    gateway.close()
  }

  @Test func aClientThatTakesNothingIsCut() throws {
    let gateway = try HTTPGateway(idle: 50)
    gateway.client.channel.readStop()
    gateway.client.send(get)
    let service = try gateway.service()
    service.send("HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
    service.channel.write([UInt8](repeating: 0x61, count: 50_000_000))
    gateway.test.run { gateway.hasEnded }
    gateway.close()
  }

  @Test func idleConnectionsEnd() throws {
    let gateway = try HTTPGateway(idle: 50)
    gateway.onRequest = { _, exchange in exchange.answer(200, "ok") }
    gateway.client.send(get)
    gateway.test.run { gateway.client.isOver }
    #expect(gateway.client.text.hasSuffix("ok\n"))
    gateway.close()
  }

  @Test func aBodyThatStopsIs408() throws {
    let gateway = try HTTPGateway(idle: 50)
    gateway.client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123")
    let service = try gateway.service()
    gateway.test.run { gateway.client.isOver && service.isOver }
    #expect(gateway.client.text.hasPrefix("HTTP/1.1 408 "))
    gateway.close()
  }

  @Test func aResponseMayTakeItsTime() throws {
    let gateway = try HTTPGateway(idle: 20)
    gateway.client.send(get)
    let service = try gateway.service()
    var isLate = false
    let timer = LoopTimer(gateway.test.loop, after: 100) { isLate = true }
    gateway.test.run { isLate }
    timer.close()
    service.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    gateway.test.run { gateway.client.text.hasSuffix("ok") }
    gateway.close()
  }

  @Test func drainingEndsIdleConnectionsAtOnceAndOthersWithTheirResponse() throws {
    let idle = try HTTPGateway()
    idle.sessions.drain()
    idle.test.run { idle.client.isOver }
    idle.close()

    let busy = try HTTPGateway()
    busy.client.send(get)
    let service = try busy.service()
    busy.sessions.drain()
    service.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    busy.test.run { busy.client.isOver }
    #expect(busy.client.text == "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    busy.close()
  }

  @Test func drainingRefusesNothingThatIsOnItsWay() throws {
    let gateway = try HTTPGateway()
    gateway.onRequest = { _, exchange in exchange.answer(503, "no more") }
    gateway.client.send("GET / HTTP/1.1\r\n")
    gateway.settle()
    gateway.sessions.drain()
    gateway.client.send("Host: x\r\n\r\n")
    gateway.test.run { gateway.client.isOver }
    #expect(gateway.client.text.hasPrefix("HTTP/1.1 503 "))
    #expect(gateway.client.text.contains("\r\nConnection: close\r\n"))
    gateway.close()
  }

  @Test func whatHasLeftHTTPGoesOnUntilItIsCut() throws {
    let gateway = try HTTPGateway()
    gateway.client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
    let service = try gateway.service()
    _ = service.take()
    service.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\nConnection: Upgrade\r\n\r\n")
    gateway.test.run { !gateway.client.received.isEmpty }
    gateway.sessions.drain()
    gateway.client.send("still here")
    gateway.test.run { service.text == "still here" }
    gateway.sessions.cut()
    gateway.test.run { service.isOver && gateway.client.isOver }
    gateway.close()
  }

  @Test func cuttingEndsEverything() throws {
    let gateway = try HTTPGateway()
    gateway.client.send(get)
    let service = try gateway.service()
    gateway.sessions.cut()
    gateway.test.run { service.isOver && gateway.client.isOver }
    #expect(gateway.sessions.isEmpty)
    gateway.close()
  }
}

@Test func datesAreWrittenInEnglishAndGreenwich() {
  #expect(HTTPDate.text(784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT")
  #expect(HTTPDate.text(0) == "Thu, 01 Jan 1970 00:00:00 GMT")
}
