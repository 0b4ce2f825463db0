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

  func write(to memory: UnsafeMutableRawBufferPointer) {
    memory.storeBytes(of: high.bigEndian, as: UInt64.self)
    memory.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt32.self)
  }
}

/// The packet channels that travel as the datagrams of one QUIC connection.
public final class DatagramChannels {
  /// Nil once the connection has ended.
  private(set) var connection: QUICConnection?
  private var channels: [DatagramChannelID: QUICPacketChannel] = [:]
  /// The one that was received from last: mostly the next as well.
  private var recent: QUICPacketChannel?

  init(_ connection: QUICConnection) {
    guard !connection.isEnded else { return }
    self.connection = connection
    connection.onDatagramRoom = { [weak self] in self?.drained() }
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
    return channel
  }

  /// Hands a datagram to its channel. What belongs to none is dropped: a channel may have ended while it was on its way.
  public func received(_ datagram: UnsafeRawBufferPointer) {
    guard datagram.count >= DatagramChannelID.size else { return }
    let id = DatagramChannelID(datagram)
    if recent?.id != id {
      guard let channel = channels[id] else { return }
      recent = channel
    }
    recent?.received(UnsafeRawBufferPointer(rebasing: datagram[DatagramChannelID.size...]))
  }

  func remove(_ channel: QUICPacketChannel) {
    if recent === channel { recent = nil }
    if channels[channel.id] === channel { channels[channel.id] = nil }
  }

  func connectionEnded(_ failure: Failure) {
    let ended = channels.values
    channels = [:]
    recent = nil
    connection = nil
    for channel in ended { channel.connectionEnded(failure) }
  }

  private func drained() {
    for channel in channels.values { channel.drained() }
  }
}
