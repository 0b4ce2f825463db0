// SPDX-License-Identifier: Apache-2.0

/// The way of a QUIC connection's packets through a packet channel.
public final class PacketPath: DatagramPath, PacketChannelDelegate {
  /// What a channel cannot carry is lost there, as a probe for the path MTU may be.
  public let largestPacket = 65_527
  public var receiver: (any DatagramReceiver)?

  private let channel: PacketChannel
  private let route = TunnelRoute()
  /// Called once, when the channel ends by itself.
  private var onEnd: ((Failure?) -> Void)?
  /// Packets of a batch that the channel had no room for.
  private var backlog: [UInt8] = []
  private var backlogSize = 0

  /// Takes the channel over. The ends that a connection over it has are `local` and `remote`.
  /// - Parameter onEnd: the way leads nowhere any more; not called after `close`
  public init(through channel: PacketChannel, _ onEnd: @escaping (Failure?) -> Void) {
    self.channel = channel
    self.onEnd = onEnd
    channel.delegate = self
    channel.readStart()
  }

  public var local: SocketAddress { route.local }
  public var remote: SocketAddress { route.remote }

  public var isBlocked: Bool { !backlog.isEmpty || channel.isFull }

  public func send(_ packets: UnsafeRawBufferPointer, size: Int, ecn: UInt32, _ route: DatagramRoute) -> Int32 {
    guard size > 0 else { return 0 }
    guard backlog.isEmpty else {
      // A connection's last word is sent whether there is room or not.
      _ = channel.send(UnsafeRawBufferPointer(rebasing: packets.prefix(size)))
      return 0
    }
    let left = sendAll(packets, size)
    if !left.isEmpty {
      backlog = Array(left)
      backlogSize = size
    }
    return 0
  }

  /// Returns the packets that there was no room for.
  private func sendAll(_ packets: UnsafeRawBufferPointer, _ size: Int) -> UnsafeRawBufferPointer {
    var rest = packets
    channel.cork()
    while !rest.isEmpty, !channel.isFull {
      _ = channel.send(UnsafeRawBufferPointer(rebasing: rest.prefix(size)))
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(size))
    }
    channel.uncork()
    return rest
  }

  public func close() {
    receiver = nil
    onEnd = nil
    backlog = []
    channel.close()
  }

  // MARK: PacketChannelDelegate

  public func packetChannel(_ channel: PacketChannel, received packet: UnsafeRawBufferPointer) {
    route.lend { receiver?.pathReceived(packet, ecn: 0, $0) }
  }

  public func packetChannelPaused(_ channel: PacketChannel) {}

  public func packetChannelDrained(_ channel: PacketChannel) {
    if !backlog.isEmpty {
      let waiting = backlog
      backlog = []
      waiting.withUnsafeBytes { backlog = Array(sendAll($0, backlogSize)) }
    }
    if !isBlocked { receiver?.pathCanSend() }
  }

  public func packetChannelEnded(_ channel: PacketChannel) { ended(nil) }

  public func packetChannel(_ channel: PacketChannel, failed failure: Failure) { ended(failure) }

  private func ended(_ failure: Failure?) {
    let report = onEnd
    onEnd = nil
    backlog = []
    report?(failure)
  }
}
