// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc

/// A UDP socket that is connected to one peer: nobody else's packets are received.
final class DatagramSocket: SocketOwner {
  /// The bytes are borrowed for the call. A failure is what came back for an earlier packet: the socket goes on.
  typealias Received = (Result<UnsafeRawBufferPointer, Failure>) -> Void

  private let loop: Loop
  private let peer: SocketAddress
  private let received: Received
  private let socket: SocketWatcher

  init(_ loop: Loop, to peer: SocketAddress, _ policy: SocketPolicy, _ received: @escaping Received) throws(Failure) {
    self.loop = loop
    self.peer = peer
    self.received = received
    socket = try SocketWatcher(loop, policy.makeDatagramSocket(to: peer, "send to"), "watch a socket")
    socket.owner = self
    socket.watch(SocketWatcher.readable)
  }

  func send(_ bytes: [UInt8]) throws(Failure) {
    let sent = rstream_send(socket.descriptor, bytes, bytes.count)
    if sent < 0 { throw .uv(Int32(sent), "send to \(peer)") }
  }

  func close() { socket.close() }

  func socketReady(_ status: Int32, _ events: Int32) {
    let scratch = loop.takeScratch()
    defer { loop.giveBackScratch(scratch) }
    let count = rstream_receive(socket.descriptor, scratch.baseAddress, Loop.chunkSize)
    if count >= 0 {
      received(.success(UnsafeRawBufferPointer(rebasing: scratch[..<count])))
    } else if count != -Int(EAGAIN), count != -Int(EINTR) {
      received(.failure(.uv(Int32(count), "receive from \(peer)")))
    }
    if status < 0 { socket.watch(SocketWatcher.readable) }
  }
}
