// SPDX-License-Identifier: Apache-2.0
import CUV
import Glibc
import TestSupport
import Testing

@testable import RstreamNet

struct SocketConnectorTests {
  private func address(_ literal: String, _ port: UInt16 = 0) throws -> SocketAddress {
    try #require(SocketAddress(literal: literal, port: port))
  }

  private func connect(_ test: TestLoop, _ addresses: [SocketAddress], _ policy: SocketPolicy = SocketPolicy())
    -> Result<SocketChannel, Failure>?
  {
    var result: Result<SocketChannel, Failure>?
    let connector = SocketConnector(test.loop, to: addresses, policy: policy) { result = $0 }
    test.run { result != nil }
    withExtendedLifetime(connector) {}
    return result
  }

  /// A port on loopback that nobody listens on.
  private func deadPort(_ test: TestLoop) throws -> SocketAddress {
    let listener = try Listener(test.loop, on: address("127.0.0.1")) { $0.reset() }
    listener.close()
    return listener.address
  }

  @Test func anAddressThatRefusesMakesWay() throws {
    let test = try TestLoop()
    let listener = try Listener(test.loop, on: address("127.0.0.1")) { $0.close() }
    let channel = try connect(test, [deadPort(test), deadPort(test), listener.address])?.get()
    #expect(channel?.peer == listener.address)
    channel?.reset()
    listener.close()
    test.close()
  }

  /// A listener whose backlog is full does not answer: the next address gets its turn after the head start.
  @Test func anAddressThatIsSilentIsOvertaken() throws {
    let test = try TestLoop()
    let silent = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var bound = sockaddr_in()
    bound.sin_family = sa_family_t(AF_INET)
    bound.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    withUnsafePointer(to: bound) { pointer in
      _ = bind(
        silent, UnsafeRawPointer(pointer).assumingMemoryBound(to: sockaddr.self),
        socklen_t(MemoryLayout<sockaddr_in>.size))
    }
    #expect(listen(silent, 0) == 0)
    let dark = try #require(SocketOption.localAddress(of: silent))
    let filler = try #require(connect(test, [dark])).get()
    let listener = try Listener(test.loop, on: address("127.0.0.1")) { $0.close() }

    let begin = uv_hrtime()
    let channel = try connect(test, [dark, listener.address])?.get()
    #expect(channel?.peer == listener.address)
    #expect(uv_hrtime() - begin >= 200_000_000)

    var alone = SocketPolicy()
    alone.races = false
    var result: Result<SocketChannel, Failure>?
    let waiting = SocketConnector(test.loop, to: [dark, listener.address], policy: alone) { result = $0 }
    var isLate = false
    let timer = LoopTimer(test.loop, after: 600) { isLate = true }
    test.run { isLate }
    #expect(result == nil)
    timer.close()
    waiting.cancel()
    channel?.reset()
    filler.reset()
    listener.close()
    Glibc.close(silent)
    test.close()
  }

  @Test func familiesTakeTurns() throws {
    let four = try (1...3).map { try address("192.0.2.\($0)") }
    let six = try (1...2).map { try address("2001:db8::\($0)") }
    #expect(SocketConnector.interleaved(six + four) == [six[0], four[0], six[1], four[1], four[2]])
    #expect(SocketConnector.interleaved(four + six) == [four[0], six[0], four[1], six[1], four[2]])
  }

  @Test func bindsToAddressAndInterface() throws {
    let test = try TestLoop()
    var peers: [SocketAddress?] = []
    let listener = try Listener(test.loop, on: address("127.0.0.1")) {
      peers.append($0.peer)
      $0.close()
    }
    var policy = SocketPolicy()
    policy.localAddress = "127.0.0.77"
    policy.interface = "lo"
    try connect(test, [listener.address], policy)?.get().reset()
    test.run { peers.count == 1 }
    #expect(peers[0]?.hostText == "127.0.0.77")
    policy.localAddress = nil
    try connect(test, [listener.address], policy)?.get().reset()
    test.run { peers.count == 2 }
    #expect(peers[1]?.hostText == "127.0.0.1")
    listener.close()
    test.close()
  }

  @Test func saysWhyItCannotBind() throws {
    let test = try TestLoop()
    func refusal(_ change: (inout SocketPolicy) -> Void) throws -> String {
      var policy = SocketPolicy()
      change(&policy)
      guard case .failure(let failure)? = connect(test, [try address("127.0.0.1", 1)], policy) else {
        return "connected"
      }
      return failure.message
    }
    #expect(try refusal { $0.interface = "nosuch0" }.contains("no network interface nosuch0"))
    #expect(try refusal { $0.localAddress = "192.0.2.1" }.contains("bind to 192.0.2.1: "))
    #expect(try refusal { $0.localAddress = "::1" }.contains("another family"))
    test.close()
  }

  @Test func onlyAllowedFamiliesAreUsable() throws {
    let both = [try address("192.0.2.1"), try address("2001:db8::1")]
    var policy = SocketPolicy()
    #expect(try policy.usable(both, of: "edge") == both)
    policy.family = .v6
    #expect(try policy.usable(both, of: "edge") == [both[1]])
    do {
      _ = try policy.usable([both[0]], of: "edge.example")
      Issue.record("accepted")
    } catch {
      #expect(error.message == "edge.example has no IPv6 address, and ipFamily allows no other")
    }
  }

  /// Multipath TCP where the kernel has it, plain TCP where not: connected either way.
  @Test func multipathFallsBack() throws {
    let test = try TestLoop()
    let listener = try Listener(test.loop, on: address("127.0.0.1")) { $0.close() }
    var policy = SocketPolicy()
    policy.multipath = true
    let channel = try connect(test, [listener.address], policy)?.get()
    #expect(channel != nil)
    channel?.reset()
    listener.close()
    test.close()
  }
}
