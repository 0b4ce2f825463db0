// SPDX-License-Identifier: Apache-2.0
import RstreamWire

/// Packets on a byte channel, each behind four bytes of length.
///
/// The stream loses nothing: who does not read stops it, and a packet that was taken arrives or the channel fails. Only
/// what a sender wants to add while as many packets wait as may is dropped.
public final class FramedPacketChannel: PacketChannel, ByteChannelDelegate {
  /// Gathered frames leave when they fill a TLS record.
  private static let batchSize = 16_384

  private let channel: ByteChannel
  private var reader = FrameReader()
  /// Frames that were gathered since `cork`, in memory of the loop.
  private var batch: UnsafeMutableRawBufferPointer?
  private var batchBytes = 0
  private var batchPackets = 0
  private var isCorked = false
  /// Packets written since the channel below had nothing to send.
  private var waiting = 0

  /// Takes the channel over, which is not read until `readStart`.
  public init(_ channel: ByteChannel) {
    self.channel = channel
    super.init(channel.loop)
    channel.delegate = self
  }

  public override var path: Path { .stream }
  public override var maximumSize: Int { Frame.maximumPayload }
  public override var queuedPackets: Int { waiting + batchPackets }
  public override var isFull: Bool {
    waiting + batchPackets >= Self.queueLimit || channel.queuedBytes + batchBytes >= Self.queueByteLimit
  }
  public override var peer: SocketAddress? { channel.peer }

  // MARK: Sending

  override func transmit(_ packet: UnsafeRawBufferPointer) -> PacketOutcome {
    guard let header = try? Frame.header(payload: packet.count) else { return .tooLarge }
    if isFull || batchBytes + Frame.headerSize + packet.count > Self.batchSize { flush() }
    guard !isFull else { return .full }
    let memory = batch ?? loop.takeScratch()
    batch = memory
    memory.storeBytes(of: header, toByteOffset: batchBytes, as: UInt32.self)
    UnsafeMutableRawBufferPointer(rebasing: memory[(batchBytes + Frame.headerSize)...]).copyMemory(from: packet)
    batchBytes += Frame.headerSize + packet.count
    batchPackets += 1
    if !isCorked || isFull { flush() }
    return .taken
  }

  public override func cork() { isCorked = true }

  public override func uncork() {
    isCorked = false
    flush()
  }

  private func flush() {
    guard let batch else { return }
    self.batch = nil
    let (bytes, packets) = (batchBytes, batchPackets)
    batchBytes = 0
    batchPackets = 0
    if !isClosed { channel.write(UnsafeRawBufferPointer(rebasing: batch[..<bytes])) }
    loop.giveBackScratch(batch)
    waiting = channel.queuedBytes > 0 ? waiting + packets : 0
  }

  public override func close() {
    guard !isClosed else { return }
    uncork()
    _ = finish()
    channel.close()
  }

  public override func reset() {
    guard !isClosed else { return }
    _ = finish()
    uncork()
    channel.reset()
  }

  // MARK: Receiving

  override func readingChanged() {
    if !isReading {
      channel.readStop()
    } else if reader.isEmpty {
      channel.readStart()
    } else {
      deferDelivery()
    }
  }

  override func deliverHeld() {
    guard !reader.isEmpty else { return }
    take(UnsafeRawBufferPointer(start: nil, count: 0))
    if isReading, !isClosed { channel.readStart() }
  }

  private func take(_ bytes: UnsafeRawBufferPointer) {
    // The delegate may close this channel; nothing else changes the reader meanwhile.
    var reader = FrameReader()
    swap(&reader, &self.reader)
    do {
      _ = try reader.packets(in: bytes.bindMemory(to: UInt8.self).span) { packet in
        packet.withUnsafeBytes { deliver($0) }
        return isReading && !isClosed
      }
    } catch {
      return fail(Failure(ErrorCode.frameTooLarge, "the peer sent no packets: \(error)"))
    }
    guard !isClosed else { return }
    swap(&reader, &self.reader)
    delegate?.packetChannelPaused(self)
  }

  // MARK: ByteChannelDelegate

  public func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) { take(bytes) }

  public func channelReceivedEnd(_ channel: ByteChannel) {
    guard !isClosed else { return }
    guard reader.isEmpty else {
      return fail(Failure(ErrorCode.protocolViolation, "the peer ended the stream within a packet"))
    }
    let listener = delegate
    close()
    tellEnded(listener)
  }

  public func channelDrained(_ channel: ByteChannel) {
    waiting = 0
    delegate?.packetChannelDrained(self)
  }

  public func channel(_ channel: ByteChannel, failed failure: Failure) {
    let listener = finish()
    uncork()
    tell(failure, listener)
  }

  /// What comes is no packet: nothing more can be understood.
  private func fail(_ failure: Failure) {
    guard !isClosed else { return }
    let listener = finish()
    uncork()
    channel.reset()
    tell(failure, listener)
  }
}
