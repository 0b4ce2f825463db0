// SPDX-License-Identifier: Apache-2.0
import CPlatform
import CUV
import Glibc

/// A UDP socket that is connected to one peer: nobody else's packets are received.
final class DatagramSocket {
  /// The bytes are borrowed for the call. A failure is what came back for an earlier packet: the socket goes on.
  typealias Received = (Result<UnsafeRawBufferPointer, Failure>) -> Void

  private let loop: Loop
  private let peer: SocketAddress
  private let received: Received
  private var descriptor: Int32
  private var watcher: UnsafeMutablePointer<uv_poll_t>?

  init(_ loop: Loop, to peer: SocketAddress, _ policy: SocketPolicy, _ received: @escaping Received) throws(Failure) {
    self.loop = loop
    self.peer = peer
    self.received = received
    descriptor = try policy.makeDatagramSocket(to: peer)
    guard peer.withSockaddr({ connect(descriptor, $0, $1) }) == 0 else {
      let failure = Failure.errno("send to \(peer)")
      Glibc.close(descriptor)
      throw failure
    }
    let watcher = UnsafeMutablePointer<uv_poll_t>.allocate(capacity: 1)
    let status = uv_poll_init(loop.uv, watcher, descriptor)
    guard status == 0 else {
      watcher.deallocate()
      Glibc.close(descriptor)
      throw .uv(status, "watch a socket")
    }
    self.watcher = watcher
    watcher.pointee.data = Unmanaged.passRetained(self).toOpaque()
    loop.handleOpened()
    uv_poll_start(watcher, Int32(UV_READABLE.rawValue)) { handle, _, _ in
      guard let data = handle?.pointee.data else { return }
      Unmanaged<DatagramSocket>.fromOpaque(data).takeUnretainedValue().readable()
    }
  }

  func send(_ bytes: [UInt8]) throws(Failure) {
    let sent = rstream_send(descriptor, bytes, bytes.count)
    if sent < 0 { throw .uv(Int32(sent), "send to \(peer)") }
  }

  func close() {
    guard let watcher else { return }
    self.watcher = nil
    uv_close(UnsafeMutableRawPointer(watcher).assumingMemoryBound(to: uv_handle_t.self)) { handle in
      guard let handle, let data = handle.pointee.data else { return }
      let socket = Unmanaged<DatagramSocket>.fromOpaque(data).takeRetainedValue()
      UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_poll_t.self).deallocate()
      socket.loop.handleClosed()
    }
    Glibc.close(descriptor)
    descriptor = -1
  }

  private func readable() {
    let scratch = loop.takeScratch()
    defer { loop.giveBackScratch(scratch) }
    let count = rstream_receive(descriptor, scratch.baseAddress, Loop.chunkSize)
    if count >= 0 {
      received(.success(UnsafeRawBufferPointer(rebasing: scratch[..<count])))
    } else if count != -Int(EAGAIN), count != -Int(EINTR) {
      received(.failure(.uv(Int32(count), "receive from \(peer)")))
    }
  }
}
