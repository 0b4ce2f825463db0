// SPDX-License-Identifier: Apache-2.0
import CPlatform
import CUV
import Glibc

/// Work to be done in the next iteration of the loop, outside of whatever is running now.
public protocol Deferred: AnyObject {
  func runDeferred()
}

/// An object that lives on a loop and ends with it: a client, an engine.
public protocol LoopChild: AnyObject {
  /// Start closing, then call `Loop.childClosed`.
  func loopIsClosing()
}

/// A libuv loop, wrapped or own, and what everything on it shares: scratch memory, deferred work, posts from other
/// threads, and the count of open handles that tells when the loop can end.
public final class Loop {
  /// How much is read from a socket, decrypted or encrypted at once.
  public static let chunkSize = 262_144

  public let uv: UnsafeMutablePointer<uv_loop_t>
  public let ownsLoop: Bool
  public private(set) var isClosing = false
  public private(set) var isClosed = false
  /// Whether an own loop is inside `run` or `runNoWait`.
  public private(set) var isRunning = false
  let gathering = StreamGathering()
  let blocks = BlockPool()

  private var isStopping = false

  private let thread = pthread_self()
  private var openHandles = 0
  private var children: [any LoopChild] = []
  private var deferred: [any Deferred] = []
  private var runningDeferred: [any Deferred] = []
  private var scratch: [UnsafeMutableRawBufferPointer] = []
  private var onClosed: (() -> Void)?

  private let idle = UnsafeMutablePointer<uv_idle_t>.allocate(capacity: 1)
  private let wakeUp = UnsafeMutablePointer<uv_async_t>.allocate(capacity: 1)
  private let posts: OpaquePointer

  /// Makes a loop of its own, or wraps the caller's.
  public static func make(wrapping uv: UnsafeMutablePointer<uv_loop_t>? = nil) throws(Failure) -> Loop {
    guard let posts = rstream_post_box_new() else { throw Failure(UV_ENOMEM.rawValue, "make a loop: out of memory") }
    if let uv { return try Loop(uv, owned: false, posts) }
    let own = UnsafeMutablePointer<uv_loop_t>.allocate(capacity: 1)
    let status = uv_loop_init(own)
    guard status == 0 else {
      own.deallocate()
      free(UnsafeMutableRawPointer(posts))
      throw .uv(status, "make a loop")
    }
    return try Loop(own, owned: true, posts)
  }

  private init(_ uv: UnsafeMutablePointer<uv_loop_t>, owned: Bool, _ posts: OpaquePointer) throws(Failure) {
    self.uv = uv
    self.posts = posts
    ownsLoop = owned
    uv_idle_init(uv, idle)
    idle.pointee.data = Unmanaged.passUnretained(self).toOpaque()
    let status = uv_async_init(uv, wakeUp) { handle in
      guard let handle, let data = handle.pointee.data else { return }
      Unmanaged<Loop>.fromOpaque(data).takeUnretainedValue().runPosts()
    }
    guard status == 0 else {
      // The loop's file descriptors are exhausted: nothing was registered but the idle handle, which holds none.
      if owned {
        uv_loop_close(uv)
        uv.deallocate()
      }
      throw .uv(status, "make a loop")
    }
    wakeUp.pointee.data = idle.pointee.data
    // Neither handle keeps the caller's uv_run() going; both go when the loop closes.
    uv_unref(UnsafeMutableRawPointer(wakeUp).assumingMemoryBound(to: uv_handle_t.self))
    openHandles = 2
  }

  deinit {
    for buffer in scratch { buffer.deallocate() }
    free(UnsafeMutableRawPointer(posts))
  }

  public var isOnLoopThread: Bool { pthread_equal(thread, pthread_self()) != 0 }

  // MARK: Running an own loop

  /// Runs an own loop. Returns true when work is left.
  public func run(waiting: Bool) -> Bool {
    isRunning = true
    // Posts do not keep a loop alive, and libuv does not even look when nothing else does.
    refWakeUp(true)
    uv_run(uv, UV_RUN_NOWAIT)
    refWakeUp(false)
    if waiting, !isStopping, !isClosed { uv_run(uv, UV_RUN_DEFAULT) }
    let left = !isClosed && uv_loop_alive(uv) != 0
    isRunning = false
    isStopping = false
    finishOwnLoop()
    return left
  }

  public func stop() {
    isStopping = true
    uv_stop(uv)
  }

  private func refWakeUp(_ ref: Bool) {
    guard !isWindingDown else { return }
    let handle = UnsafeMutableRawPointer(wakeUp).assumingMemoryBound(to: uv_handle_t.self)
    if ref { uv_ref(handle) } else { uv_unref(handle) }
  }

  /// Readable when `run` has something to do.
  public var descriptor: Int32 { uv_backend_fd(uv) }

  /// Milliseconds after which `run` has something to do; -1 when only the descriptor tells.
  public var timeout: Int32 {
    // The descriptor keeps silent about what the loop has yet to tell its backend to watch.
    if rstream_uv_has_new_watchers(uv) != 0 { return 0 }
    return uv_loop_alive(uv) == 0 ? -1 : uv_backend_timeout(uv)
  }

  // MARK: Deferred work and posts

  /// Runs `work` in the next iteration.
  public func `defer`(_ work: any Deferred) {
    if deferred.isEmpty {
      uv_idle_start(idle) { handle in
        guard let handle, let data = handle.pointee.data else { return }
        Unmanaged<Loop>.fromOpaque(data).takeUnretainedValue().runAllDeferred()
      }
    }
    deferred.append(work)
  }

  /// Runs `work` in the next iteration; for everything that is not done per chunk of data.
  public func later(_ work: @escaping () -> Void) {
    self.defer(DeferredClosure(work))
  }

  private func runAllDeferred() {
    swap(&deferred, &runningDeferred)
    uv_idle_stop(idle)
    for work in runningDeferred { work.runDeferred() }
    runningDeferred.removeAll(keepingCapacity: true)
    closeWhenEmpty()
  }

  /// May be called from any thread while the loop is open.
  public func post(
    _ call: @escaping @convention(c) (UnsafeMutableRawPointer?) -> Void, _ data: UnsafeMutableRawPointer?
  )
    -> Int32
  {
    let status = rstream_post_box_push(posts, call, data)
    return status == 0 ? uv_async_send(wakeUp) : status
  }

  private func runPosts() {
    var posted = rstream_post_box_take(posts)
    while let current = posted {
      let next = current.pointee.next
      let call = current.pointee.call
      let data = current.pointee.data
      free(current)
      call?(data)
      posted = next
    }
  }

  // MARK: Scratch memory

  /// Lends a buffer of a little more than `chunkSize` bytes, which is given back before the event being handled ends.
  public func takeScratch() -> UnsafeMutableRawBufferPointer {
    scratch.popLast() ?? .allocate(byteCount: Loop.chunkSize + 4096, alignment: 64)
  }

  public func giveBackScratch(_ buffer: UnsafeMutableRawBufferPointer) {
    scratch.append(buffer)
  }

  // MARK: Closing

  public func handleOpened() { openHandles += 1 }

  public func handleClosed() {
    openHandles -= 1
    closeWhenEmpty()
  }

  public func childOpened(_ child: any LoopChild) { children.append(child) }

  public func childClosed(_ child: any LoopChild) {
    children.removeAll { $0 === child }
    closeWhenEmpty()
  }

  /// Closes every object on the loop, then the loop. An own loop that is not running is run until that is done.
  public func close(_ completion: @escaping () -> Void) {
    isClosing = true
    onClosed = completion
    for child in children { child.loopIsClosing() }
    // The completion never runs inside this call.
    later {}
    guard ownsLoop, !isRunning else { return }
    while !isClosed && uv_run(uv, UV_RUN_ONCE) != 0 {}
    finishOwnLoop()
  }

  private var isWindingDown = false

  private func closeWhenEmpty() {
    guard isClosing, children.isEmpty, deferred.isEmpty else { return }
    if openHandles == 2, !isWindingDown {
      isWindingDown = true
      runPosts()
      for handle in [UnsafeMutableRawPointer(idle), UnsafeMutableRawPointer(wakeUp)] {
        uv_close(handle.assumingMemoryBound(to: uv_handle_t.self)) { handle in
          guard let data = handle?.pointee.data else { return }
          Unmanaged<Loop>.fromOpaque(data).takeUnretainedValue().handleClosed()
        }
      }
    }
    guard openHandles == 0, !isClosed else { return }
    isClosed = true
    idle.deallocate()
    wakeUp.deallocate()
    if ownsLoop {
      uv_stop(uv)
    } else {
      reportClosed()
    }
  }

  private func finishOwnLoop() {
    guard ownsLoop, isClosed, onClosed != nil else { return }
    // Handles of the caller's own that are still open keep the memory of the uv loop: better a leak than a crash.
    if uv_loop_close(uv) == 0 { uv.deallocate() }
    reportClosed()
  }

  private func reportClosed() {
    let report = onClosed
    onClosed = nil
    report?()
  }
}

private final class DeferredClosure: Deferred {
  private let work: () -> Void
  init(_ work: @escaping () -> Void) { self.work = work }
  func runDeferred() { work() }
}

extension Failure {
  /// A libuv or system error in words: "listen on 127.0.0.1:80: address already in use".
  public static func uv(_ status: Int32, _ attempt: String) -> Failure {
    Failure(status, "\(attempt): \(String(cString: uv_strerror(status)))")
  }

  public static func errno(_ attempt: String) -> Failure {
    uv(-Glibc.errno, attempt)
  }
}
