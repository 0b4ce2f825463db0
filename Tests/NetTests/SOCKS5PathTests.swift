// SPDX-License-Identifier: Apache-2.0
import Glibc
import TestSupport
import Testing

@testable import RstreamNet

/// A relay's side: notes what arrives and answers with what it is told to.
private final class Relay: DatagramReceiver {
  var packets: [[UInt8]] = []
  private let socket: QUICSocket

  init(_ socket: QUICSocket) {
    self.socket = socket
    socket.receiver = self
  }

  func pathReceived(_ packet: UnsafeRawBufferPointer, ecn: UInt32, _ route: DatagramRoute) {
    packets.append(Array(packet))
    if packets.count == 1 {
      for answer: [UInt8] in [[0, 0, 1, 1, 9, 9, 9, 9, 0, 9, 7], [1], Array(packet)] {
        _ = answer.withUnsafeBytes { socket.send($0, size: $0.count, ecn: 0, route) }
      }
    }
  }
  func pathCanSend() {}
  func pathFailed(_ failure: Failure) {}
}

private final class Inside: DatagramReceiver {
  var packets: [[UInt8]] = []
  var end: Failure?
  func pathReceived(_ packet: UnsafeRawBufferPointer, ecn: UInt32, _ route: DatagramRoute) {
    packets.append(Array(packet))
  }
  func pathCanSend() {}
  func pathFailed(_ failure: Failure) {}
  func pathEnded(_ failure: Failure) { end = failure }
}

struct SOCKS5PathTests {
  @Test func putsItsHeaderBeforeEachPacketOfABatch() throws {
    let test = try TestLoop()
    let server = try QUICSocket(test.loop, on: #require(SocketAddress(literal: "127.0.0.1", port: 0)))
    let relay = Relay(server)
    let socket = try QUICSocket(test.loop, to: server.address)
    let target = ProxyTarget(host: String(repeating: "name.", count: 50), port: 443)
    let control = ByteChannel(test.loop)
    let path = try SOCKS5Path(through: socket, to: target, keptBy: control)
    let inside = Inside()
    path.receiver = inside
    // As many as a connection sends at once: with their headers they are more than the kernel takes at once.
    let batch = (0..<54).flatMap { [UInt8](repeating: UInt8($0), count: $0 == 53 ? 100 : 1200) }
    let header = try SOCKS5Datagram.header(to: target)
    withUnsafeMutablePointer(to: &UnusedAddress.storage) { address in
      let raw = UnsafeMutableRawPointer(address).assumingMemoryBound(to: sockaddr.self)
      batch.withUnsafeBytes { bytes in
        #expect(path.send(bytes, size: 1200, ecn: 0, DatagramRoute(local: raw, 0, remote: raw, 0)) == 0)
      }
    }
    test.run("all packets") { relay.packets.count == 54 }
    for (number, packet) in relay.packets.enumerated() {
      #expect(packet == header + [UInt8](repeating: UInt8(number), count: number == 53 ? 100 : 1200))
    }
    test.run("an answer") { !inside.packets.isEmpty }
    #expect(inside.packets == [[UInt8](repeating: 0, count: 1200)])
    path.channelReceivedEnd(control)
    #expect(inside.end?.code == ErrorCode.proxy)
    path.close()
    server.close()
    test.close()
  }
}

/// A connected socket is told no address.
private enum UnusedAddress {
  nonisolated(unsafe) static var storage = sockaddr_storage()
}
