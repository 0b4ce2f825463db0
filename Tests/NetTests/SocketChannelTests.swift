// SPDX-License-Identifier: Apache-2.0
import Glibc
import TestSupport
import Testing

@testable import RstreamNet

struct SocketChannelTests {
  @Test func carriesBytesAndHalfClose() throws {
    let test = try TestLoop()
    let (a, b) = try test.socketPair()
    let atA = Recorder()
    let atB = Recorder()
    a.delegate = atA
    b.delegate = atB
    a.readStart()
    b.readStart()
    a.write(Array("request".utf8))
    a.shutdown()
    test.run { atB.ended }
    #expect(atB.text == "request")
    b.write(Array("answer".utf8))
    b.shutdown()
    test.run { atA.ended }
    #expect(atA.text == "answer")
    a.close()
    b.close()
    test.close()
  }

  @Test func readsNothingUntilAsked() throws {
    let test = try TestLoop()
    let (a, b) = try test.socketPair()
    let atB = Recorder()
    b.delegate = atB
    a.write(Array("early".utf8))
    var turns = 0
    let timer = LoopTimer(test.loop) { turns += 1 }
    timer.start(after: 1, every: 1)
    test.run { turns > 5 }
    #expect(atB.received.isEmpty)
    b.readStart()
    test.run { atB.text == "early" }
    timer.close()
    a.close()
    b.close()
    test.close()
  }

  @Test func queuesWhatTheOtherSideDoesNotTakeAndTellsWhenItIsGone() throws {
    let test = try TestLoop()
    let (a, b) = try test.socketPair()
    let atA = Recorder()
    let atB = Recorder()
    a.delegate = atA
    b.delegate = atB
    let block = [UInt8](repeating: 7, count: 1 << 20)
    var written = 0
    while a.queuedBytes == 0 {
      a.write(block)
      written += block.count
    }
    #expect(atA.drained == 0)
    b.readStart()
    test.run { atB.received.count == written }
    test.run { atA.drained > 0 }
    #expect(a.queuedBytes == 0)
    a.close()
    b.close()
    test.close()
  }

  @Test func closeSendsWhatIsQueued() throws {
    let test = try TestLoop()
    let (a, b) = try test.socketPair()
    let atB = Recorder()
    b.delegate = atB
    let block = [UInt8](repeating: 9, count: 1 << 20)
    var written = 0
    while a.queuedBytes == 0 {
      a.write(block)
      written += block.count
    }
    a.close()
    b.readStart()
    test.run { atB.ended }
    #expect(atB.received.count == written)
    b.close()
    test.close()
  }

  @Test func resetIsSeenAsReset() throws {
    let test = try TestLoop()
    let (a, b) = try test.socketPair()
    let atB = Recorder(reading: b)
    a.reset()
    test.run { atB.failure != nil }
    #expect(atB.failure?.code == -ECONNRESET)
    test.close()
  }

  @Test func resetIsNoticedWhileReadingIsStopped() throws {
    let test = try TestLoop()
    let (a, b) = try test.socketPair()
    let atB = Recorder()
    b.delegate = atB
    a.reset()
    test.run { atB.failure != nil }
    test.close()
  }

  @Test func writingToAVanishedPeerFailsWithoutASignal() throws {
    let test = try TestLoop()
    let (a, b) = try test.socketPair()
    let atA = Recorder()
    a.delegate = atA
    b.reset()
    var timer: LoopTimer?
    timer = LoopTimer(test.loop) { a.write(Array("into the void".utf8)) }
    timer?.start(after: 1, every: 1)
    test.run { atA.failure != nil }
    timer?.close()
    test.close()
  }

  @Test func unreadBytesComeBeforeNewOnes() throws {
    let test = try TestLoop()
    let (a, b) = try test.socketPair()
    let atB = Recorder()
    b.delegate = atB
    var handedBack = false
    atB.onEvent = { recorder, channel in
      guard !handedBack else { return }
      handedBack = true
      channel.readStop()
      recorder.received.withUnsafeBytes { channel.unread(UnsafeRawBufferPointer(rebasing: $0[2...])) }
      recorder.received = Array(recorder.received[..<2])
      channel.readStart()
    }
    b.readStart()
    a.write(Array("abcdef".utf8))
    test.run { handedBack }
    a.write(Array("ghi".utf8))
    a.shutdown()
    test.run { atB.ended }
    #expect(atB.text == "abcdefghi")
    a.close()
    b.close()
    test.close()
  }
}

struct ListenerTests {
  /// In a process of its own: the limit on descriptors is the whole process's.
  @Test func acceptsAgainAfterDescriptorsRanOut() async {
    await #expect(processExitsWith: .success) {
      let test = try TestLoop()
      var accepted: [SocketChannel] = []
      let any = try #require(SocketAddress(literal: "127.0.0.1", port: 0))
      let listener = try Listener(test.loop, on: any) { accepted.append($0) }
      // Connected by hand, before descriptors run out; accepting is what fails.
      let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      var before = rlimit()
      getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &before)
      var tight = before
      let next = dup(0)
      close(next)
      tight.rlim_cur = rlim_t(next)
      setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &tight)
      let status = listener.address.withSockaddr { connect(client, $0, $1) }
      #expect(status == 0)
      var turns = 0
      let timer = LoopTimer(test.loop) { turns += 1 }
      timer.start(after: 1, every: 1)
      test.run { turns > 5 }
      #expect(accepted.isEmpty)
      setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &before)
      test.run { accepted.count == 1 }
      timer.close()
      listener.close()
      close(client)
      for channel in accepted { channel.close() }
      test.close()

    }
  }

  @Test func connectionRefusedNamesTheAddress() throws {
    let test = try TestLoop()
    let any = try #require(SocketAddress(literal: "127.0.0.1", port: 0))
    let listener = try Listener(test.loop, on: any) { _ in }
    let address = listener.address
    listener.close()
    var failure: Failure?
    let connector = SocketConnector(test.loop, to: [address]) { result in
      if case .failure(let refused) = result { failure = refused }
    }
    test.run { failure != nil }
    #expect(failure?.code == -ECONNREFUSED)
    #expect(failure?.message.contains("\(address)") == true)
    withExtendedLifetime(connector) {}
    test.close()
  }
}
