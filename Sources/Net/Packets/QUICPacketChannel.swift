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
  private let channels: DatagramChannels
  /// Datagrams that wait for this channel's turn.
  private var queue = PacketQueue()
  /// As many wait as may, until it has been told that some have left.
  private var isHeldBack = false
  /// Told when what waited at the close has left.
  private var farewell: (() -> Void)?
  /// The channel whose turn comes after this one's.
  var next: QUICPacketChannel?
  /// Noted to be told what has left.
  var isNoted = false

  init(_ channels: DatagramChannels, _ connection: QUICConnection, _ id: DatagramChannelID) {
    self.channels = channels
    self.connection = connection
    self.id = id
    super.init(connection.loop)
  }

  deinit { queue.removeAll() }

  public override var path: Path { .quicDatagram }
  public override var maximumSize: Int { max(0, connection.maximumDatagram - DatagramChannelID.size) }
  public override var queuedPackets: Int { queue.count }
  public override var isFull: Bool { isHeldBack }
  public override var peer: SocketAddress? { connection.peer }

  override func transmit(_ packet: UnsafeRawBufferPointer) -> PacketOutcome {
    guard connection.isOpen, !isClosedByPeer else { return .closed }
    guard !isHeldBack else { return .full }
    enqueue(packet)
    return .taken
  }

  /// Adds a packet to those that wait, of which there are not too many.
  func enqueue(_ packet: UnsafeRawBufferPointer) {
    let isFirst = queue.isEmpty
    guard (id.withBytes { queue.append(packet, after: $0) }) else { return }
    channels.added(to: self, isFirst: isFirst)
    if queue.isFull || channels.isCrowded { isHeldBack = true }
  }

  // MARK: Called when it is the channel's turn

  /// What is to be sent next; valid until the queue changes.
  var firstDatagram: UnsafeRawBufferPointer? { queue.first }

  /// Takes it away. False when no more wait.
  func removeFirst(wasSent: Bool) -> Bool {
    queue.removeFirst()
    if !wasSent { counters.droppedSending &+= 1 }
    return !queue.isEmpty
  }

  /// Whether what has left just now is of interest.
  var awaitsRoom: Bool { isHeldBack || queue.isEmpty && farewell != nil }

  /// Packets have left, or were dropped for having become too long for the path.
  func tellSent() {
    if isHeldBack, queue.isEmpty || !(queue.isFull || channels.isCrowded) {
      isHeldBack = false
      delegate?.packetChannelDrained(self)
    }
    if queue.isEmpty, let farewell {
      self.farewell = nil
      farewell()
    }
  }

  /// The connection has ended: nothing more leaves.
  func dropWaiting() {
    queue.removeAll()
    farewell = nil
  }

  public override func close() {
    guard !isClosed else { return }
    _ = finish()
    channels.remove(self)
    guard let report = onClose else { return }
    onClose = nil
    // The peer looks for no more datagrams once it knows.
    if queue.isEmpty { report(reason) } else { farewell = { [reason] in report(reason) } }
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
    channels.remove(self)
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
}
