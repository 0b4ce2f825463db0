// SPDX-License-Identifier: Apache-2.0
import CUV
import Glibc

/// An attempt to connect to one address.
final class SocketAttempt: SocketOwner {
  typealias Completion = (SocketAttempt, Result<SocketChannel, Failure>) -> Void

  private let loop: Loop
  private let address: SocketAddress
  private var completion: Completion?
  private var descriptor: Int32 = -1
  private var watcher: SocketWatcher?

  /// The completion may be called from inside `start`.
  init(_ loop: Loop, to address: SocketAddress, _ completion: @escaping Completion) {
    self.loop = loop
    self.address = address
    self.completion = completion
  }

  func start(_ policy: SocketPolicy) {
    let attempt = "connect to \(address)"
    do throws(Failure) {
      descriptor = try policy.makeSocket(to: address)
    } catch {
      return finish(.failure(error))
    }
    guard let status = address.withSockaddr({ connect(descriptor, $0, $1) }) else {
      return finish(.failure(Failure(UV_ENAMETOOLONG.rawValue, "\(attempt): the path is too long")))
    }
    if status == 0 { return connected() }
    // A Unix socket whose backlog is full answers EAGAIN and never becomes writable.
    guard errno == EINPROGRESS else { return finish(.failure(.errno(attempt))) }
    // A connection within the machine has been made, or refused, by now: no watcher is needed.
    var state = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    if poll(&state, 1, 0) > 0 { return answered() }
    watch(attempt)
  }

  func cancel() {
    completion = nil
    release()
  }

  private func watch(_ attempt: String) {
    do throws(Failure) {
      let watcher = try SocketWatcher(loop, descriptor, attempt)
      self.watcher = watcher
      watcher.owner = self
      watcher.watch(SocketWatcher.writable)
    } catch {
      descriptor = -1
      finish(.failure(error))
    }
  }

  func socketReady(_ status: Int32, _ events: Int32) { answered() }

  private func answered() {
    stopWatching()
    let error = SocketOption.takeError(descriptor)
    if error == 0 {
      connected()
    } else {
      finish(.failure(.uv(-error, "connect to \(address)")))
    }
  }

  private func connected() {
    stopWatching()
    let connected = descriptor
    descriptor = -1
    do throws(Failure) {
      finish(.success(try SocketChannel(loop, descriptor: connected, peer: address)))
    } catch {
      finish(.failure(error))
    }
  }

  private func finish(_ result: Result<SocketChannel, Failure>) {
    let report = completion
    completion = nil
    release()
    report?(self, result)
  }

  private func release() {
    stopWatching()
    if descriptor >= 0 { Glibc.close(descriptor) }
    descriptor = -1
  }

  private func stopWatching() {
    _ = watcher?.detach()
    watcher = nil
  }
}
