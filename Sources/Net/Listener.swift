// SPDX-License-Identifier: Apache-2.0
import CPlatform
import CUV
import Glibc

/// A listening TCP socket.
public final class Listener: SocketOwner {
  public typealias Accept = (SocketChannel) -> Void

  private let loop: Loop
  private let socket: SocketWatcher
  private var onAccept: Accept?
  private var retryTimer: LoopTimer?
  private var isPaused = false
  public let address: SocketAddress

  /// Listens on an address; port 0 takes a free one, which `address` then tells.
  public init(_ loop: Loop, on wanted: SocketAddress, _ onAccept: @escaping Accept) throws(Failure) {
    let attempt = "listen on \(wanted)"
    let descriptor = rstream_stream_socket(wanted.family)
    guard descriptor >= 0 else { throw .uv(descriptor, attempt) }
    SocketOption.set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
    if case .v6 = wanted.host { SocketOption.set(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0) }
    guard wanted.withSockaddr({ bind(descriptor, $0, $1) }) == 0, listen(descriptor, 1024) == 0,
      let address = SocketOption.localAddress(of: descriptor)
    else {
      let failure = Failure.errno(attempt)
      Glibc.close(descriptor)
      throw failure
    }
    socket = try SocketWatcher(loop, descriptor, attempt)
    self.loop = loop
    self.address = address
    self.onAccept = onAccept
    socket.owner = self
    watch()
  }

  public func close() {
    onAccept = nil
    retryTimer?.close()
    retryTimer = nil
    socket.close()
  }

  /// Stops accepting for a while: connections wait in the system's backlog.
  public func pause() {
    isPaused = true
    socket.watch(0)
  }

  public func resume() {
    guard isPaused else { return }
    isPaused = false
    watch()
  }

  private func watch() {
    if !isPaused { socket.watch(SocketWatcher.readable) }
  }

  func socketReady(_ status: Int32, _ events: Int32) {
    // A burst is taken in pieces so that established connections are not starved.
    for _ in 0..<32 {
      guard let onAccept, !isPaused else { return }
      var storage = sockaddr_storage()
      let accepted = rstream_accept(socket.descriptor, &storage)
      if accepted < 0 {
        switch -accepted {
        case EAGAIN: return
        case EMFILE, ENFILE, ENOBUFS, ENOMEM: return waitForResources(.uv(accepted, "accept on \(address)"))
        default: continue
        }
      }
      let peer = withUnsafeBytes(of: storage) { raw in
        raw.baseAddress.flatMap { SocketAddress($0.assumingMemoryBound(to: sockaddr.self)) }
      }
      do throws(Failure) {
        onAccept(try SocketChannel(loop, descriptor: accepted, peer: peer))
      } catch {
        Log.warn("listener", "accept on \(address): \(error.message)")
      }
    }
  }

  /// Descriptors are used up. Connections stay in the backlog and are tried again soon: closing them would only make
  /// their owners come back at once.
  private func waitForResources(_ failure: Failure) {
    Log.warn("listener", "\(failure.message); trying again until descriptors are free")
    socket.watch(0)
    let timer = retryTimer ?? LoopTimer(loop) { [self] in watch() }
    retryTimer = timer
    timer.start(after: 50)
  }
}
