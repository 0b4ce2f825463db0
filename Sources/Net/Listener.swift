// SPDX-License-Identifier: Apache-2.0
import CPlatform
import CUV
import Glibc

/// A listening TCP socket.
public final class Listener {
  public typealias Accept = (SocketChannel) -> Void

  private let loop: Loop
  private var descriptor: Int32
  private var poll: UnsafeMutablePointer<uv_poll_t>?
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
    let poll = UnsafeMutablePointer<uv_poll_t>.allocate(capacity: 1)
    let status = uv_poll_init(loop.uv, poll, descriptor)
    guard status == 0 else {
      poll.deallocate()
      Glibc.close(descriptor)
      throw .uv(status, attempt)
    }
    self.loop = loop
    self.descriptor = descriptor
    self.address = address
    self.onAccept = onAccept
    self.poll = poll
    poll.pointee.data = Unmanaged.passRetained(self).toOpaque()
    loop.handleOpened()
    watch()
  }

  public func close() {
    onAccept = nil
    retryTimer?.close()
    retryTimer = nil
    guard let poll else { return }
    self.poll = nil
    uv_close(UnsafeMutableRawPointer(poll).assumingMemoryBound(to: uv_handle_t.self)) { handle in
      guard let handle, let data = handle.pointee.data else { return }
      let listener = Unmanaged<Listener>.fromOpaque(data).takeRetainedValue()
      UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_poll_t.self).deallocate()
      listener.loop.handleClosed()
    }
    Glibc.close(descriptor)
    descriptor = -1
  }

  /// Stops accepting for a while: connections wait in the system's backlog.
  public func pause() {
    isPaused = true
    if let poll { uv_poll_stop(poll) }
  }

  public func resume() {
    guard isPaused else { return }
    isPaused = false
    watch()
  }

  private func watch() {
    guard let poll, !isPaused else { return }
    uv_poll_start(poll, Int32(UV_READABLE.rawValue)) { handle, _, _ in
      guard let data = handle?.pointee.data else { return }
      Unmanaged<Listener>.fromOpaque(data).takeUnretainedValue().acceptSome()
    }
  }

  private func acceptSome() {
    // A burst is taken in pieces so that established connections are not starved.
    for _ in 0..<32 {
      guard let onAccept, !isPaused else { return }
      var storage = sockaddr_storage()
      let accepted = rstream_accept(descriptor, &storage)
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
    if let poll { uv_poll_stop(poll) }
    let timer = retryTimer ?? LoopTimer(loop) { [self] in watch() }
    retryTimer = timer
    timer.start(after: 50)
  }
}
