// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The addresses that a packet travels between, borrowed from whoever lends them.
public struct DatagramRoute {
  public var local: UnsafeMutablePointer<sockaddr>
  public var localLength: socklen_t
  public var remote: UnsafeMutablePointer<sockaddr>
  public var remoteLength: socklen_t

  public init(
    local: UnsafeMutablePointer<sockaddr>, _ localLength: socklen_t, remote: UnsafeMutablePointer<sockaddr>,
    _ remoteLength: socklen_t
  ) {
    self.local = local
    self.localLength = localLength
    self.remote = remote
    self.remoteLength = remoteLength
  }
}

/// What carries the packets of a QUIC connection: a UDP socket, or a tunnel through a proxy.
public protocol DatagramPath: AnyObject {
  /// The largest packet that may be tried on this way.
  var largestPacket: Int { get }
  /// Whether packets have to wait: `pathCanSend` tells when they can go on.
  var isBlocked: Bool { get }
  var receiver: (any DatagramReceiver)? { get set }

  /// Sends packets that lie one behind the other, each of `size` bytes; the last may be shorter. What cannot be sent is
  /// lost, as packets are. Returns 0, or the negative errno of a way that seems to lead nowhere.
  func send(_ packets: UnsafeRawBufferPointer, size: Int, ecn: UInt32, _ route: DatagramRoute) -> Int32

  /// Gives the way back. Nothing is told after this.
  func close()
}

/// Whoever gets what a path carries. Never called from inside a call to the path.
public protocol DatagramReceiver: AnyObject {
  /// The packet and the route are borrowed for the call.
  func pathReceived(_ packet: UnsafeRawBufferPointer, ecn: UInt32, _ route: DatagramRoute)
  /// Packets that have come together and lie one behind the other, each of `size` bytes; the last may be shorter.
  func pathReceived(_ packets: UnsafeRawBufferPointer, size: Int, ecn: UInt32, _ route: DatagramRoute)
  func pathCanSend()
  /// What came back for an earlier packet; the path goes on.
  func pathFailed(_ failure: Failure)
  /// The path leads nowhere any more, and is still to be closed.
  func pathEnded(_ failure: Failure)
}

extension DatagramReceiver {
  /// Sockets do not end by themselves.
  public func pathEnded(_ failure: Failure) { pathFailed(failure) }

  public func pathReceived(_ packets: UnsafeRawBufferPointer, size: Int, ecn: UInt32, _ route: DatagramRoute) {
    guard size > 0 else { return }
    var rest = packets
    while !rest.isEmpty {
      pathReceived(UnsafeRawBufferPointer(rebasing: rest.prefix(size)), ecn: ecn, route)
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(size))
    }
  }
}
