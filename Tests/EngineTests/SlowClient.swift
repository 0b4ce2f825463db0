// SPDX-License-Identifier: Apache-2.0
@testable import RstreamEngine
@testable import RstreamNet

/// A client's connection that takes nothing until it is told to.
final class SlowClient: HTTPDownstream {
  final class Channel: ByteChannel {
    private(set) var written: [UInt8] = []
    private(set) var isReset = false
    private var queued = 0

    override var queuedBytes: Int { queued }

    override func write(_ bytes: UnsafeRawBufferPointer) {
      written += bytes
      queued += bytes.count
    }

    override func reset() { isReset = true }

    func drain() {
      queued = 0
      delegate?.channelDrained(self)
    }
  }

  let channel: Channel

  init(_ loop: Loop) { channel = Channel(loop) }

  func leaveHTTP(_ head: HTTPResponseHead) -> ByteChannel? { channel }

  func sendInterim(_ head: HTTPResponseHead) {}
  func send(_ head: HTTPResponseHead, _ body: HTTPBodyLength) {}
  func sendBody(_ bytes: UnsafeRawBufferPointer) {}
  func sendTrailers(_ trailers: HTTPHeaders) {}
  func sendEnd() {}
  func upgrade(_ head: HTTPResponseHead, joining channel: ByteChannel) {}
  func abort() {}
  func flush() {}
  var queuedBytes: Int { 0 }
  func pauseRequest() {}
  func resumeRequest() {}
}
