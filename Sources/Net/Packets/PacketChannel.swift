// SPDX-License-Identifier: Apache-2.0

/// What a packet channel tells. Called on the loop's thread, never from inside a call to the channel.
public protocol PacketChannelDelegate: AnyObject {
  /// A packet has arrived, maybe an empty one; it is borrowed for the call.
  func packetChannel(_ channel: PacketChannel, received packet: UnsafeRawBufferPointer)
  /// What arrived together has been told.
  func packetChannelPaused(_ channel: PacketChannel)
  /// Packets that waited to be sent have left.
  func packetChannelDrained(_ channel: PacketChannel)
  /// The other side has ended the channel, which is closed. Nothing else is called after this.
  func packetChannelEnded(_ channel: PacketChannel)
  /// The channel is broken and closed. Nothing else is called after this.
  func packetChannel(_ channel: PacketChannel, failed failure: Failure)
}

/// What became of a packet that was to be sent.
public enum PacketOutcome: Equatable, Sendable {
  case taken
  /// As many packets, or bytes of them, wait as may: this one was dropped.
  case full
  /// The packet is longer than `PacketChannel.maximumSize` and was dropped.
  case tooLarge
  case closed
}

/// How many packets a channel has carried, and how many it has not.
public struct PacketCounters: Equatable, Sendable {
  public var sent: UInt64 = 0
  public var received: UInt64 = 0
  /// Dropped instead of sent: too many waited, or the packet was too long.
  public var droppedSending: UInt64 = 0
  /// Dropped because nobody read and too many waited.
  public var droppedReceiving: UInt64 = 0
}

/// A channel that carries packets, each as it was sent: frames on a byte stream, a UDP socket.
///
/// A channel does not deliver until `readStart`. After `close` the delegate hears nothing more.
public class PacketChannel: Deferred {
  /// How many packets may wait, in each direction.
  public static let queueLimit = 64
  /// How many bytes of packets may wait before another one is not taken.
  public static let queueByteLimit = 262_144

  /// What packets travel on.
  public enum Path: String, Sendable {
    case stream
    case quicDatagram = "quic-datagram"
    case udp
    case dtls
  }

  private enum End {
    case closed
    case failed(Failure)
  }

  public final let loop: Loop
  public final var delegate: (any PacketChannelDelegate)? {
    didSet { if delegate != nil, untold != nil { tellLater() } }
  }
  public final private(set) var isReading = false
  public final var counters = PacketCounters()
  /// Kept as long as the channel is.
  public final var attachment: AnyObject?
  public final var isClosed = false

  /// What arrived while nobody read and could not be left where it came from.
  private final var arrived = PacketQueue()
  /// How the source has ended, which is told when what has arrived is delivered.
  private final var ending: End?
  /// How the channel has ended while nobody was there to be told.
  private final var untold: End?
  private final var isDeferred = false

  init(_ loop: Loop) { self.loop = loop }

  deinit { arrived.removeAll() }

  public var path: Path { .stream }

  /// The longest packet that can be sent now.
  public var maximumSize: Int { 65_535 }

  /// How many packets wait to be sent.
  public var queuedPackets: Int { 0 }

  /// The address of the other end, when it has one.
  public var peer: SocketAddress? { nil }

  /// Whether a source of packets is to be stopped until `packetChannelDrained`.
  public var isFull: Bool { queuedPackets >= Self.queueLimit }

  public final func readStart() {
    guard !isReading, !isClosed else { return }
    isReading = true
    if arrived.isEmpty { readingChanged() } else { deferDelivery() }
  }

  public final func readStop() {
    guard isReading else { return }
    isReading = false
    readingChanged()
  }

  /// Sends a packet, or drops and counts it.
  @discardableResult
  public final func send(_ packet: UnsafeRawBufferPointer) -> PacketOutcome {
    let outcome: PacketOutcome =
      isClosed ? .closed : packet.count > maximumSize ? .tooLarge : transmit(packet)
    switch outcome {
    case .taken: counters.sent &+= 1
    case .full, .tooLarge: counters.droppedSending &+= 1
    case .closed: break
    }
    return outcome
  }

  /// More packets follow at once: until `uncork`, which comes before the event being handled ends, they may be gathered.
  public func cork() {}
  public func uncork() {}

  /// Sends what is queued, then ends.
  public func close() {}

  /// Ends at once.
  public func reset() { close() }

  /// The same for a reason that the other side is told where there is a way to.
  public func reset(because failure: Failure) { reset() }

  // MARK: For the kinds of channels

  /// Sends a packet that is not too long, or queues it.
  func transmit(_ packet: UnsafeRawBufferPointer) -> PacketOutcome { .closed }

  /// `isReading` has changed: adjust the source.
  func readingChanged() {}

  /// Reading was resumed and what waited here is delivered: deliver what else is held.
  func deliverHeld() {}

  /// Hands a packet on, or keeps it while nobody reads. `packetChannelPaused` is the caller's to tell.
  final func deliver(_ packet: UnsafeRawBufferPointer) {
    if isReading, arrived.isEmpty {
      counters.received &+= 1
      delegate?.packetChannel(self, received: packet)
    } else if !arrived.append(packet) {
      counters.droppedReceiving &+= 1
    }
  }

  final func deferDelivery() {
    guard !isDeferred else { return }
    isDeferred = true
    loop.defer(self)
  }

  public final func runDeferred() {
    isDeferred = false
    guard isReading, !isClosed else { return }
    if !arrived.isEmpty {
      var waiting = PacketQueue()
      swap(&waiting, &arrived)
      while isReading, !isClosed, let packet = waiting.first {
        counters.received &+= 1
        delegate?.packetChannel(self, received: packet)
        waiting.removeFirst()
      }
      if !isClosed { delegate?.packetChannelPaused(self) }
      // Nothing arrives inside the delegate's calls: the rest is still the oldest.
      swap(&waiting, &arrived)
      tellEnd()
      guard isReading, !isClosed else { return }
    }
    readingChanged()
    deliverHeld()
  }

  final func dropArrived() { arrived.removeAll() }

  /// The other side has ended the channel, because of a failure maybe: nothing arrives any more, and what has arrived is
  /// still delivered.
  final func sourceEnded(_ failure: Failure?) {
    ending = failure.map { .failed($0) } ?? .closed
    tellEnd()
  }

  private final func tellEnd() {
    guard let ending, arrived.isEmpty, !isClosed else { return }
    let listener = finish()
    switch ending {
    case .closed: tellEnded(listener)
    case .failed(let failure): tell(failure, listener)
    }
  }

  /// Tells that the other side has ended the channel; when nobody is there to be told, whoever comes.
  final func tellEnded(_ listener: (any PacketChannelDelegate)?) {
    if listener == nil { untold = .closed }
    listener?.packetChannelEnded(self)
  }

  /// The same for a channel that has broken.
  final func tell(_ failure: Failure, _ listener: (any PacketChannelDelegate)?) {
    if listener == nil { untold = .failed(failure) }
    listener?.packetChannel(self, failed: failure)
  }

  private final func tellLater() {
    loop.later { [self] in
      guard let end = untold, let listener = finish() else { return }
      untold = nil
      switch end {
      case .closed: listener.packetChannelEnded(self)
      case .failed(let failure): listener.packetChannel(self, failed: failure)
      }
    }
  }

  /// Marks the channel as closed and says who is to be told of its end.
  final func finish() -> (any PacketChannelDelegate)? {
    let listener = delegate
    isClosed = true
    delegate = nil
    arrived.removeAll()
    return listener
  }
}
