// SPDX-License-Identifier: Apache-2.0
import CPlatform
import CUV
import Glibc

/// Connects to the first of several addresses that answers.
public final class SocketConnector {
  public typealias Completion = (Result<SocketChannel, Failure>) -> Void

  private let loop: Loop
  private var addresses: ArraySlice<SocketAddress>
  private var completion: Completion?
  private var descriptor: Int32 = -1
  private var current: SocketAddress?
  private var watcher: UnsafeMutablePointer<uv_poll_t>?
  private var lastFailure: Failure?

  public init(_ loop: Loop, to addresses: [SocketAddress], _ completion: @escaping Completion) {
    self.loop = loop
    self.addresses = addresses[...]
    self.completion = completion
    tryNext()
  }

  public func cancel() {
    completion = nil
    addresses = []
    stopWatching()
    closeDescriptor()
  }

  private func tryNext() {
    guard completion != nil else { return }
    guard let address = addresses.popFirst() else {
      let failure = lastFailure ?? Failure(UV_EADDRNOTAVAIL.rawValue, "connect: no address to connect to")
      return finishLater(.failure(failure))
    }
    let attempt = "connect to \(address)"
    descriptor = rstream_stream_socket(address.family)
    guard descriptor >= 0 else { return skip(.uv(descriptor, attempt)) }
    guard let status = address.withSockaddr({ connect(descriptor, $0, $1) }) else {
      return skip(Failure(UV_ENAMETOOLONG.rawValue, "\(attempt): the path is too long"))
    }
    if status == 0 { return connected(address) }
    // A Unix socket whose backlog is full answers EAGAIN and never becomes writable.
    guard errno == EINPROGRESS else { return skip(.errno(attempt)) }
    current = address
    // A connection within the machine has been made, or refused, by now: no watcher is needed.
    var state = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    if poll(&state, 1, 0) > 0 { return answered() }
    watch(attempt)
  }

  private func watch(_ attempt: String) {
    let watcher = UnsafeMutablePointer<uv_poll_t>.allocate(capacity: 1)
    let status = uv_poll_init(loop.uv, watcher, descriptor)
    guard status == 0 else {
      watcher.deallocate()
      return skip(.uv(status, attempt))
    }
    self.watcher = watcher
    watcher.pointee.data = Unmanaged.passRetained(self).toOpaque()
    loop.handleOpened()
    uv_poll_start(watcher, Int32(UV_WRITABLE.rawValue)) { handle, _, _ in
      guard let data = handle?.pointee.data else { return }
      Unmanaged<SocketConnector>.fromOpaque(data).takeUnretainedValue().answered()
    }
  }

  private func answered() {
    guard let address = current else { return }
    stopWatching()
    let error = SocketOption.takeError(descriptor)
    if error == 0 {
      connected(address)
    } else {
      skip(.uv(-error, "connect to \(address)"))
    }
  }

  private func connected(_ address: SocketAddress) {
    let connected = descriptor
    descriptor = -1
    do throws(Failure) {
      finishLater(.success(try SocketChannel(loop, descriptor: connected, peer: address)))
    } catch {
      skip(error)
    }
  }

  private func skip(_ failure: Failure) {
    closeDescriptor()
    lastFailure = failure
    tryNext()
  }

  private func finishLater(_ result: Result<SocketChannel, Failure>) {
    loop.later { [self] in
      guard let completion else {
        if case .success(let channel) = result { channel.reset() }
        return
      }
      self.completion = nil
      completion(result)
    }
  }

  private func stopWatching() {
    guard let watcher else { return }
    self.watcher = nil
    uv_close(UnsafeMutableRawPointer(watcher).assumingMemoryBound(to: uv_handle_t.self)) { handle in
      guard let handle, let data = handle.pointee.data else { return }
      let connector = Unmanaged<SocketConnector>.fromOpaque(data).takeRetainedValue()
      UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_poll_t.self).deallocate()
      connector.loop.handleClosed()
    }
  }

  private func closeDescriptor() {
    if descriptor >= 0 { Glibc.close(descriptor) }
    descriptor = -1
  }
}
