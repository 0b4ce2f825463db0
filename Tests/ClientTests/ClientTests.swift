// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamNet
import TestSupport
import Testing

@testable import RstreamClient

/// Ends when it is allowed to.
private final class Member: ClientMember {
  private let client: Client
  var isTold = false
  var mayEnd: Bool

  init(_ client: Client, mayEnd: Bool) {
    self.client = client
    self.mayEnd = mayEnd
  }

  func clientIsClosing() {
    isTold = true
    if mayEnd { client.remove(self) }
  }
}

struct ClientTests {
  @Test func whatComesAboutWhileTheClientClosesEndsWithIt() throws {
    let test = try TestLoop()
    let engine = try FakeEngine(test)
    let client = try Client(test.loop, try engine.settings())
    let slow = Member(client, mayEnd: false)
    client.add(slow)
    var isClosed = false
    try client.close { isClosed = true }
    #expect(slow.isTold)
    let late = Member(client, mayEnd: true)
    client.add(late)
    test.run("the late one's end") { late.isTold }
    #expect(!isClosed)
    client.remove(slow)
    test.run("the end of the client") { isClosed }
    engine.close()
    test.close()
  }
}
