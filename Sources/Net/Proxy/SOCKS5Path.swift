// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The way of packets through the UDP relay of a SOCKS5 proxy (RFC 1928, section 7).
final class SOCKS5Path: DatagramPath, DatagramReceiver, ByteChannelDelegate {
  let largestPacket: Int
  var receiver: (any DatagramReceiver)?

  private let socket: QUICSocket
  private let control: ByteChannel
  /// What precedes every packet that goes out.
  private let header: [UInt8]
  /// What goes out at once, each packet behind its header.
  private var batch: [UInt8] = []
  private var isOver = false

  /// - Parameter control: the connection that the relay was asked for on; when it ends, the relay does
  init(through socket: QUICSocket, to target: ProxyTarget, keptBy control: ByteChannel) throws(Failure) {
    self.socket = socket
    self.control = control
    header = try SOCKS5Datagram.header(to: target)
    largestPacket = socket.largestPacket - header.count
    socket.receiver = self
    control.delegate = self
    control.readStart()
  }

  var isBlocked: Bool { socket.isBlocked }

  func send(_ packets: UnsafeRawBufferPointer, size: Int, ecn: UInt32, _ route: DatagramRoute) -> Int32 {
    guard size > 0 else { return 0 }
    batch.removeAll(keepingCapacity: true)
    var rest = packets
    while !rest.isEmpty {
      batch += header
      batch += rest.prefix(size)
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(size))
    }
    return batch.withUnsafeBytes { socket.send($0, size: size + header.count, ecn: ecn, route) }
  }

  func close() {
    receiver = nil
    isOver = true
    socket.close()
    control.reset()
  }

  // MARK: DatagramReceiver

  func pathReceived(_ packet: UnsafeRawBufferPointer, ecn: UInt32, _ route: DatagramRoute) {
    guard let start = SOCKS5Datagram.payloadStart(of: packet) else { return }
    receiver?.pathReceived(UnsafeRawBufferPointer(rebasing: packet[start...]), ecn: ecn, route)
  }

  func pathCanSend() { receiver?.pathCanSend() }

  func pathFailed(_ failure: Failure) { receiver?.pathFailed(failure) }

  // MARK: ByteChannelDelegate

  func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {}

  func channelReceivedEnd(_ channel: ByteChannel) {
    ended(Failure(ErrorCode.proxy, "the proxy ended the UDP association"))
  }

  func channelDrained(_ channel: ByteChannel) {}

  func channel(_ channel: ByteChannel, failed failure: Failure) {
    ended(failure.during("the UDP association with the proxy"))
  }

  private func ended(_ failure: Failure) {
    guard !isOver else { return }
    isOver = true
    receiver?.pathFailed(failure)
  }
}
