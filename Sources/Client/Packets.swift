// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamNet

/// A packet channel through a tunnel, accepted or dialed, as the application sees it.
public final class Packets: PacketChannelDelegate, ClientMember {
  /// Receives a packet, borrowed for the call; nil when no more will come, with a failure unless the other side has
  /// closed the channel.
  public typealias Read = (UnsafeRawBufferPointer?, Failure?) -> Void

  private enum End {
    case closed
    case failed(Failure)
  }

  public let id: String
  public let peer: String
  /// Told when packets that waited to be sent have left, and at the end, for nobody is to wait then.
  public var onDrain: (() -> Void)?

  private let client: Client
  private let channel: PacketChannel
  private var read: Read?
  private var end: End?
  private var isClosed = false

  // Made once: packets may be dropped by the thousand.
  private static let full = Failure(
    -EAGAIN, "send a packet: as many wait already as may; send less, or wait for the drain callback")

  private static let ended = Failure(-EPIPE, "send a packet: the other side has closed the channel")

  init(_ client: Client, _ channel: PacketChannel, id: String, peer: String) {
    self.client = client
    self.channel = channel
    self.id = id
    self.peer = peer
    channel.delegate = self
  }

  public var path: PacketChannel.Path { channel.path }
  public var maximumSize: Int { channel.maximumSize }
  /// As many as may wait when no more is taken, whatever keeps it from that.
  public var queuedPackets: Int {
    if isClosed || end != nil { return 0 }
    return channel.isFull ? PacketChannel.queueLimit : channel.queuedPackets
  }
  public var counters: PacketCounters { channel.counters }

  // MARK: Packets

  public func readStart(_ read: @escaping Read) throws(Failure) {
    guard !isClosed else { throw closed("read") }
    guard self.read == nil else { throw .uv(-EALREADY, "read") }
    self.read = read
    if end == nil {
      channel.readStart()
    } else {
      // It ended while nobody was reading.
      client.loop.later { [self] in tellEnd() }
    }
  }

  public func readStop() throws(Failure) {
    guard !isClosed else { throw closed("stop reading") }
    read = nil
    channel.readStop()
  }

  public func send(_ packet: UnsafeRawBufferPointer) throws(Failure) {
    guard !isClosed else { throw closed("send a packet") }
    switch end {
    case .failed(let failure): throw failure
    case .closed: throw Self.ended
    case nil: break
    }
    switch channel.send(packet) {
    case .taken: return
    case .full: throw Self.full
    case .tooLarge:
      throw Failure(
        -EMSGSIZE,
        "send a packet of \(packet.count) bytes: the channel carries at most \(channel.maximumSize); send less at once")
    // What has arrived before is still to be read.
    case .closed: throw Self.ended
    }
  }

  /// Sends what is queued, then ends.
  public func close(_ done: @escaping () -> Void) throws(Failure) {
    guard !isClosed else { throw closed("close") }
    isClosed = true
    read = nil
    onDrain = nil
    channel.close()
    client.loop.later { [self] in
      done()
      client.remove(self)
    }
  }

  /// Takes the channel out of what was never handed to the application; nil when it has ended meanwhile.
  func takeChannel() -> PacketChannel? {
    guard !isClosed, end == nil else { return nil }
    isClosed = true
    channel.delegate = nil
    client.remove(self)
    return channel
  }

  /// Ends at once what nobody has.
  func drop() {
    guard !isClosed else { return }
    isClosed = true
    channel.reset()
    client.remove(self)
  }

  // MARK: Ending

  func clientIsClosing() {
    guard !isClosed else { return }
    channel.reset()
    client.loop.later { [self] in
      ended(.failed(Failure(ErrorCode.clientClosed, "the client of the packet channel was closed")))
      client.remove(self)
    }
  }

  private func closed(_ attempt: String) -> Failure {
    Failure(ErrorCode.streamClosed, "\(attempt): the packet channel is closed")
  }

  private func ended(_ end: End) {
    guard self.end == nil, !isClosed else { return }
    self.end = end
    tellEnd()
    let drained = onDrain
    onDrain = nil
    drained?()
  }

  private func tellEnd() {
    guard let end, let report = read, !isClosed else { return }
    read = nil
    if case .failed(let failure) = end { report(nil, failure) } else { report(nil, nil) }
  }

  // MARK: PacketChannelDelegate

  public func packetChannel(_ channel: PacketChannel, received packet: UnsafeRawBufferPointer) { read?(packet, nil) }

  public func packetChannelPaused(_ channel: PacketChannel) {}

  public func packetChannelDrained(_ channel: PacketChannel) { onDrain?() }

  public func packetChannelEnded(_ channel: PacketChannel) { ended(.closed) }

  public func packetChannel(_ channel: PacketChannel, failed failure: Failure) { ended(.failed(failure)) }
}
