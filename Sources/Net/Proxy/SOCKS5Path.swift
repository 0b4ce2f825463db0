// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The way of packets through the UDP relay of a SOCKS5 proxy (RFC 1928, section 7).
final class SOCKS5Path: DatagramPath, DatagramReceiver, ByteChannelDelegate {
  let largestPacket: Int
  var receiver: (any DatagramReceiver)?

  /// What the kernel takes at once, in bytes. With headers a batch is longer than its sender has made it.
  private static let batchBytes = 65_000

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
    let step = size + header.count
    var status: Int32 = 0
    var rest = packets
    batch.removeAll(keepingCapacity: true)
    while !rest.isEmpty, status == 0 {
      batch += header
      batch += rest.prefix(size)
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(size))
      guard rest.isEmpty || batch.count + step > Self.batchBytes else { continue }
      status = batch.withUnsafeBytes { socket.send($0, size: step, ecn: ecn, route) }
      batch.removeAll(keepingCapacity: true)
    }
    return status
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

  func pathEnded(_ failure: Failure) { ended(failure) }

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
    receiver?.pathEnded(failure)
  }
}
