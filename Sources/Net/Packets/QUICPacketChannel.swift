// SPDX-License-Identifier: Apache-2.0

/// Packets as the datagrams of a QUIC connection. The network may lose them; what one side does not read in time is
/// dropped and counted.
public final class QUICPacketChannel: PacketChannel {
  public let id: DatagramChannelID
  /// Called once, when this side ends the channel, because of a failure maybe: the peer is to be told elsewhere.
  public var onClose: ((Failure?) -> Void)?

  /// Whether the channel ends because the peer or the connection has.
  public private(set) var isClosedByPeer = false

  /// Why this side has ended the channel, when it was not in order.
  public private(set) var reason: Failure?

  private let connection: QUICConnection
  private weak var channels: DatagramChannels?

  init(_ channels: DatagramChannels, _ connection: QUICConnection, _ id: DatagramChannelID) {
    self.channels = channels
    self.connection = connection
    self.id = id
    super.init(connection.loop)
  }

  public override var path: Path { .quicDatagram }
  public override var maximumSize: Int { max(0, connection.maximumDatagram - DatagramChannelID.size) }
  /// All channels of a connection share its room.
  public override var queuedPackets: Int { connection.datagrams.count }
  public override var peer: SocketAddress? { connection.peer }

  override func transmit(_ packet: UnsafeRawBufferPointer) -> PacketOutcome {
    guard connection.isOpen, !isClosedByPeer else { return .closed }
    guard !isFull else { return .full }
    let memory = loop.takeScratch()
    defer { loop.giveBackScratch(memory) }
    id.write(to: memory)
    UnsafeMutableRawBufferPointer(rebasing: memory[DatagramChannelID.size...]).copyMemory(from: packet)
    let size = DatagramChannelID.size + packet.count
    return connection.send(datagram: UnsafeRawBufferPointer(rebasing: memory[..<size])) ? .taken : .tooLarge
  }

  public override func close() {
    guard !isClosed else { return }
    _ = finish()
    channels?.remove(self)
    let report = onClose
    onClose = nil
    // The peer looks for no more datagrams once it knows.
    if let report { connection.afterDatagrams { [reason] in report(reason) } }
  }

  public override func reset(because failure: Failure) {
    guard !isClosed else { return }
    reason = failure
    close()
  }

  /// The peer has said that the channel is over, and why when something was wrong.
  public func peerClosed(_ failure: Failure? = nil) {
    guard !isClosed, !isClosedByPeer else { return }
    isClosedByPeer = true
    channels?.remove(self)
    onClose = nil
    sourceEnded(failure)
  }

  func connectionEnded(_ failure: Failure) {
    guard !isClosed else { return }
    isClosedByPeer = true
    let listener = finish()
    onClose = nil
    tell(failure, listener)
  }

  func received(_ packet: UnsafeRawBufferPointer) {
    guard !isClosed else { return }
    deliver(packet)
    if isReading, !isClosed { delegate?.packetChannelPaused(self) }
  }

  func drained() { delegate?.packetChannelDrained(self) }
}
