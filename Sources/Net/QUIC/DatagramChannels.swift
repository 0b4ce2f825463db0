// SPDX-License-Identifier: Apache-2.0

/// The twelve bytes in front of a QUIC datagram that say which channel it belongs to.
public struct DatagramChannelID: Hashable, Sendable {
  static let size = 12

  private let high: UInt64
  private let low: UInt32

  /// From a stream's id: its first 24 hexadecimal digits, dashes left out. Nil when it has fewer, or other characters.
  public init?(streamID: String) {
    var (high, low): (UInt64, UInt32) = (0, 0)
    var count = 0
    for byte in streamID.utf8 where byte != UInt8(ascii: "-") && byte != UInt8(ascii: " ") && count < 24 {
      guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
      if count < 16 { high = high << 4 | UInt64(digit) } else { low = low << 4 | UInt32(digit) }
      count += 1
    }
    guard count == 24 else { return nil }
    self.high = high
    self.low = low
  }

  /// What a datagram begins with, which has that many bytes.
  init(_ datagram: UnsafeRawBufferPointer) {
    high = UInt64(bigEndian: datagram.loadUnaligned(as: UInt64.self))
    low = UInt32(bigEndian: datagram.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
  }

  /// Lends the bytes as they are sent.
  func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
    withUnsafeBytes(of: (high.bigEndian, low.bigEndian)) {
      body(UnsafeRawBufferPointer(rebasing: $0.prefix(Self.size)))
    }
  }
}

/// The packet channels that travel as the datagrams of one QUIC connection. Those whose packets wait take turns, packet by
/// packet: one that sends all it can leaves the others their part.
public final class DatagramChannels {
  /// When so many packets of all channels wait, no channel may add to its own.
  static let waitingLimit = 1_024
  /// How many packets wait for a channel that is being asked for.
  private static let earlyLimit = 64

  /// Nil once the connection has ended.
  private(set) var connection: QUICConnection?
  private var channels: [DatagramChannelID: QUICPacketChannel] = [:]
  /// The one that was received from last: mostly the next as well.
  private var recent: QUICPacketChannel?

  /// Whose turn it is, and who was added last; the list goes through `QUICPacketChannel.next`.
  private var turn: QUICPacketChannel?
  private var last: QUICPacketChannel?
  private var waiting = 0
  /// Those that are to be told that packets have left.
  private var noted: [QUICPacketChannel] = []

  /// How many channels are being asked for: packets of one may overtake the answer that names it.
  private var expected = 0
  private var early: [(id: DatagramChannelID, packet: [UInt8])] = []

  init(_ connection: QUICConnection) {
    guard !connection.isEnded else { return }
    self.connection = connection
  }

  /// Opens a channel; what arrives for it from now on waits until it is read.
  public func open(_ id: DatagramChannelID) throws(Failure) -> QUICPacketChannel {
    guard let connection else {
      throw Failure(ErrorCode.streamClosed, "open a datagram channel: the QUIC connection has ended")
    }
    guard channels[id] == nil else {
      throw Failure(ErrorCode.protocolViolation, "open a datagram channel: its id is in use")
    }
    let channel = QUICPacketChannel(self, connection, id)
    channels[id] = channel
    if !early.isEmpty {
      for datagram in early where datagram.id == id { datagram.packet.withUnsafeBytes { channel.received($0) } }
      early.removeAll { $0.id == id }
    }
    return channel
  }

  /// A channel is asked for whose id the peer will tell. To be taken back when it has, or will not.
  public func expect() { expected += 1 }

  public func expectNoMore() {
    expected = max(0, expected - 1)
    if expected == 0 { early = [] }
  }

  /// Hands a datagram to its channel. What belongs to none is dropped: a channel may have ended while it was on its way.
  public func received(_ datagram: UnsafeRawBufferPointer) {
    guard datagram.count >= DatagramChannelID.size else { return }
    let id = DatagramChannelID(datagram)
    if recent?.id != id {
      guard let channel = channels[id] else {
        if expected > 0, early.count < Self.earlyLimit {
          early.append((id, Array(datagram[DatagramChannelID.size...])))
        }
        return
      }
      recent = channel
    }
    recent?.received(UnsafeRawBufferPointer(rebasing: datagram[DatagramChannelID.size...]))
  }

  func remove(_ channel: QUICPacketChannel) {
    if recent === channel { recent = nil }
    if channels[channel.id] === channel { channels[channel.id] = nil }
  }

  func connectionEnded(_ failure: Failure) {
    while let channel = turn {
      turn = channel.next
      channel.next = nil
      channel.dropWaiting()
    }
    last = nil
    waiting = 0
    noted = []
    early = []
    let ended = channels.values
    channels = [:]
    recent = nil
    connection = nil
    for channel in ended { channel.connectionEnded(failure) }
  }

  // MARK: Turns

  var isCrowded: Bool { waiting >= Self.waitingLimit }

  /// A packet waits in the channel, maybe the first there.
  func added(to channel: QUICPacketChannel, isFirst: Bool) {
    waiting += 1
    if isFirst {
      if let last { last.next = channel } else { turn = channel }
      last = channel
    }
    connection?.schedule()
  }

  /// What is to be sent next; valid until something changes.
  var first: UnsafeRawBufferPointer? { turn?.firstDatagram }

  /// Takes it away, sent or not; the next channel has its turn.
  func removeFirst(wasSent: Bool) {
    guard let channel = turn else { return }
    waiting -= 1
    let waitsOn = channel.removeFirst(wasSent: wasSent)
    if !waitsOn || channel !== last {
      turn = channel.next
      channel.next = nil
      if turn == nil { last = nil }
      if waitsOn {
        last?.next = channel
        last = channel
      }
    }
    if channel.awaitsRoom, !channel.isNoted {
      channel.isNoted = true
      noted.append(channel)
    }
  }

  /// Tells the channels whose packets have left.
  func tellSent() {
    guard !noted.isEmpty else { return }
    let told = noted
    noted.removeAll(keepingCapacity: true)
    for channel in told {
      channel.isNoted = false
      channel.tellSent()
    }
  }
}
