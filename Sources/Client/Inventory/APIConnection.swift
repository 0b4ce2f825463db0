// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamNet

/// What a request to the engine's API is told. Nothing more comes after `responseEnded` and `responseFailed`.
protocol APIResponseReceiver: AnyObject {
  func received(_ head: HTTPResponseHead)
  func receivedBody(_ bytes: UnsafeRawBufferPointer)
  func responseEnded()
  /// - Parameter isReceived: whether a response had begun
  func responseFailed(_ failure: Failure, isReceived: Bool)
  /// The engine agrees to leave HTTP: the connection is the receiver's from here on, and nobody reads it. Comes instead of
  /// `responseEnded`, and only to who asked for it.
  func responseLeftHTTP(_ head: HTTPResponseHead, _ channel: ByteChannel)
}

extension APIResponseReceiver {
  func responseLeftHTTP(_ head: HTTPResponseHead, _ channel: ByteChannel) { channel.reset() }
}

/// One HTTP/1.1 connection to the engine's API: one request after the other.
final class APIConnection: ByteChannelDelegate, HTTP1Receiver {
  private let channel: ByteChannel
  private let parser = HTTP1Parser(.responses)
  /// Takes the connection back when it can carry another request.
  private let onIdle: (APIConnection) -> Void
  /// Told when the connection ends while it is idle.
  private let onLost: (APIConnection) -> Void
  private weak var receiver: (any APIResponseReceiver)?
  private var isAwaiting = false
  private var hasBegun = false
  private var hasEnded = false
  private var keepsAlive = false
  private var mayLeaveHTTP = false
  private var farewell: HTTPResponseHead?
  private var isClosed = false

  init(
    _ channel: ByteChannel, onIdle: @escaping (APIConnection) -> Void, onLost: @escaping (APIConnection) -> Void
  ) {
    self.channel = channel
    self.onIdle = onIdle
    self.onLost = onLost
    channel.delegate = self
    channel.readStart()
  }

  /// Sends a request's head; the receiver hears of the response.
  /// - Parameter mayLeaveHTTP: the request asks for a change of protocols
  func send(_ head: [UInt8], mayLeaveHTTP: Bool = false, to receiver: any APIResponseReceiver) {
    self.receiver = receiver
    self.mayLeaveHTTP = mayLeaveHTTP
    isAwaiting = true
    hasBegun = false
    hasEnded = false
    channel.write(head)
  }

  /// Ends the connection; nobody is told.
  func close() {
    guard !isClosed else { return }
    isClosed = true
    receiver = nil
    if isAwaiting { channel.reset() } else { channel.close() }
  }

  // MARK: HTTP1Receiver

  func received(_ response: HTTP1Response) {
    guard !response.head.isInterim else { return }
    hasBegun = true
    keepsAlive = response.keepsAlive && !response.endsHTTP
    if response.endsHTTP, mayLeaveHTTP { farewell = response.head } else { receiver?.received(response.head) }
  }

  func receivedBody(_ bytes: UnsafeRawBufferPointer) { receiver?.receivedBody(bytes) }

  func receivedEnd() { hasEnded = true }

  // MARK: ByteChannelDelegate

  func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {
    // What nobody asked for would be taken for the answer to the next request.
    guard isAwaiting else { return lose() }
    do {
      let used = try parser.feed(bytes, to: self)
      guard !isClosed, hasEnded else { return }
      if let farewell { return leaveHTTP(farewell, UnsafeRawBufferPointer(rebasing: bytes[used...])) }
      finish(reusable: keepsAlive && used == bytes.count)
    } catch {
      fail(Failure(ErrorCode.protocolViolation, "what the engine answered is not HTTP: \(error.message)"))
    }
  }

  func channelReceivedEnd(_ channel: ByteChannel) {
    guard isAwaiting else { return lose() }
    do {
      try parser.finish(to: self)
      if hasEnded { return finish(reusable: false) }
    } catch {}
    fail(
      Failure(
        -ECONNRESET, hasBegun ? "the engine broke off its answer" : "the engine closed the connection without an answer"
      ))
  }

  func channelDrained(_ channel: ByteChannel) {}

  func channel(_ channel: ByteChannel, failed failure: Failure) {
    if isAwaiting { fail(failure) } else { lose() }
  }

  private func leaveHTTP(_ head: HTTPResponseHead, _ rest: UnsafeRawBufferPointer) {
    isClosed = true
    channel.delegate = nil
    channel.readStop()
    channel.unread(rest)
    guard let receiver = takeReceiver() else { return channel.reset() }
    receiver.responseLeftHTTP(head, channel)
  }

  private func finish(reusable: Bool) {
    let receiver = takeReceiver()
    if reusable {
      onIdle(self)
    } else {
      close()
    }
    receiver?.responseEnded()
  }

  private func fail(_ failure: Failure) {
    guard !isClosed else { return }
    let receiver = takeReceiver()
    close()
    receiver?.responseFailed(failure, isReceived: hasBegun)
  }

  private func takeReceiver() -> (any APIResponseReceiver)? {
    isAwaiting = false
    defer { receiver = nil }
    return receiver
  }

  private func lose() {
    guard !isClosed else { return }
    close()
    onLost(self)
  }
}
