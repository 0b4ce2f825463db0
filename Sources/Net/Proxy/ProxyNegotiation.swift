// SPDX-License-Identifier: Apache-2.0

/// One client's side of a proxy protocol, without a socket: bytes in, bytes out.
protocol ProxyNegotiation {
  /// What the client says first.
  mutating func opening() -> [UInt8]

  /// Looks at all that has arrived and was not consumed yet.
  /// - Returns: how many bytes were consumed, and what to do next
  mutating func advance(_ input: [UInt8]) throws(Failure) -> (consumed: Int, step: ProxyStep)
}

enum ProxyStep: Equatable {
  /// More has to arrive.
  case wait
  case send([UInt8])
  /// The connection to the target begins behind the consumed bytes.
  /// - Parameter bound: the address the proxy named as its own side of it, where it did
  case open(bound: ProxyTarget?)
}

/// Runs a negotiation over a connection to the proxy. Time limits are the caller's.
final class ProxyHandshake: Attempt<ProxyHandshake.Opened>, ByteChannelDelegate {
  typealias Opened = (channel: ByteChannel, bound: ProxyTarget?)

  private var channel: ByteChannel?
  private var negotiation: any ProxyNegotiation
  private var input: [UInt8] = []

  /// Takes the channel over; it comes back with success and is gone after a failure.
  init(_ negotiation: any ProxyNegotiation, over channel: ByteChannel, _ completion: @escaping Completion) {
    self.negotiation = negotiation
    self.channel = channel
    super.init(completion)
    channel.delegate = self
    channel.write(self.negotiation.opening())
    channel.readStart()
  }

  override func release() {
    channel?.reset()
    channel = nil
  }

  func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {
    input.append(contentsOf: bytes)
    do throws(Failure) {
      while !isOver {
        let (consumed, step) = try negotiation.advance(input)
        input.removeFirst(min(consumed, input.count))
        switch step {
        case .wait: return
        case .send(let answer): channel.write(answer)
        case .open(let bound): return open(bound)
        }
      }
    } catch {
      finish(.failure(error))
    }
  }

  /// What came behind the proxy's last word belongs to the target and stays in the channel.
  private func open(_ bound: ProxyTarget?) {
    guard let channel else { return }
    self.channel = nil
    channel.delegate = nil
    channel.readStop()
    input.withUnsafeBytes { channel.unread($0) }
    finish(.success((channel, bound)))
  }

  func channelReceivedEnd(_ channel: ByteChannel) {
    finish(.failure(Failure(ErrorCode.proxy, "it closed the connection in the middle of its answer")))
  }

  func channelDrained(_ channel: ByteChannel) {}

  func channel(_ channel: ByteChannel, failed failure: Failure) {
    self.channel = nil
    finish(.failure(failure))
  }
}
