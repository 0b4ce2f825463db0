// SPDX-License-Identifier: Apache-2.0
import CUV
import Glibc
import TestSupport
import Testing

@testable import RstreamNet

struct LoopTests {
  @Test func deferredWorkRunsInOrderAndNotInsideTheCall() throws {
    let test = try TestLoop()
    var order: [Int] = []
    test.loop.later { order.append(1) }
    test.loop.later { order.append(2) }
    #expect(order.isEmpty)
    test.run { order.count == 2 }
    #expect(order == [1, 2])
    test.close()
  }

  @Test func postsFromAnotherThreadArrive() throws {
    final class Box: @unchecked Sendable {
      let loop: Loop
      var count = 0
      init(_ loop: Loop) { self.loop = loop }
    }
    let test = try TestLoop()
    let box = Box(test.loop)
    var thread = pthread_t()
    pthread_create(
      &thread, nil,
      { raw in
        guard let raw else { return nil }
        let box = Unmanaged<Box>.fromOpaque(raw).takeUnretainedValue()
        for _ in 0..<1000 {
          _ = box.loop.post(
            { raw in
              guard let raw else { return }
              Unmanaged<Box>.fromOpaque(raw).takeUnretainedValue().count += 1
            }, raw)
        }
        return nil
      }, Unmanaged.passUnretained(box).toOpaque())
    test.run { box.count == 1000 }
    pthread_join(thread, nil)
    test.close()
  }

  @Test func aWrappedLoopDoesNotKeepRunning() throws {
    let uv = UnsafeMutablePointer<uv_loop_t>.allocate(capacity: 1)
    uv_loop_init(uv)
    let loop = try Loop.make(wrapping: uv)
    #expect(uv_run(uv, UV_RUN_DEFAULT) == 0)
    var isClosed = false
    loop.close { isClosed = true }
    #expect(!isClosed)
    uv_run(uv, UV_RUN_DEFAULT)
    #expect(isClosed)
    #expect(uv_loop_close(uv) == 0)
    uv.deallocate()
  }

  @Test func addressesInWords() throws {
    #expect(SocketAddress(literal: "192.0.2.1", port: 80)?.description == "192.0.2.1:80")
    #expect(SocketAddress(literal: "2001:db8::1", port: 443)?.description == "[2001:db8::1]:443")
    #expect(SocketAddress(literal: "::ffff:192.0.2.1", port: 1)?.hostText == "192.0.2.1")
    #expect(SocketAddress(literal: "host", port: 1) == nil)
    #expect(Resolver.knownAddresses("Web.T.LocalHost.", 5)?.count == 2)
    #expect(Resolver.knownAddresses("localhost.example", 5) == nil)
  }

  @Test func aLoopThatStoodStillLooksAtItsSocketsBeforeItCallsAPeerSilent() throws {
    let test = try TestLoop()
    let (a, b) = try test.socketPair()
    var isSilent = false
    let deadline = SilenceDeadline(test.loop, after: 50) { isSilent = true }
    let recorder = Recorder()
    recorder.onEvent = { _, _ in deadline.heard() }
    b.delegate = recorder
    b.readStart()
    a.write([1])
    usleep(120_000)
    test.run { recorder.received.count == 1 }
    #expect(!isSilent)
    test.run { isSilent }
    deadline.close()
    a.close()
    b.close()
    test.close()
  }
}
