// SPDX-License-Identifier: Apache-2.0
import CRstream
import Glibc
import RstreamNet

/// An object with a life on a loop, as C sees it: a loop, a client, a control channel, a tunnel, a stream, an engine.
///
/// C owns it from its creation until its close callback has returned. When a handle ends, the handles below it have ended
/// before: those that C closed hear their close callback, the others are taken away from it silently.
class Handle: CObject {
  enum State {
    case open
    /// The caller has closed it; the close callback is to come.
    case closing
    case ended
  }

  final let loop: Loop
  /// The handle whose end is this one's end too.
  final private(set) unowned(safe) var parent: Handle?
  final private(set) var state = State.open

  private final var children: [Handle] = []
  private final var slot = 0
  private final var closeCallback: rstream_close_cb?
  private final var closeData: UnsafeMutableRawPointer?

  init(_ loop: Loop, below parent: Handle?) {
    self.loop = loop
    self.parent = parent
    if let parent {
      slot = parent.children.count
      parent.children.append(self)
    }
    _ = retained()
  }

  /// What a call gets that comes after the close.
  var closedCode: Int32 { -EINVAL }

  /// Starts closing what is below and calls `done` when it is gone, never before it returns.
  func closeBelow(_ done: @escaping () -> Void) throws(Failure) {}

  /// Lets go of what is below; callbacks still owed are made now.
  func ended() {}

  /// Whether a handle above is being closed, which closes this one too.
  final var isEndingFromAbove: Bool {
    guard let parent else { return false }
    return parent.state != .open || parent.isEndingFromAbove
  }

  final func checkThread(_ what: String) throws(Failure) {
    guard loop.isOnLoopThread else {
      throw Failure(ErrorCode.wrongThread, "the \(what) is used from another thread than its loop's")
    }
  }

  /// Refuses calls from another thread than the loop's, and calls after the close.
  final func check(_ what: String) throws(Failure) {
    try checkThread(what)
    guard state == .open, !isEndingFromAbove else { throw Failure(closedCode, "the \(what) is closed") }
  }

  final func close(_ cb: rstream_close_cb?, _ data: UnsafeMutableRawPointer?) -> Int32 {
    close(cb, data) { [self] (done) throws(Failure) in try closeBelow(done) }
  }

  final func close(
    _ cb: rstream_close_cb?, _ data: UnsafeMutableRawPointer?,
    by closing: (@escaping () -> Void) throws(Failure) -> Void
  ) -> Int32 {
    guard loop.isOnLoopThread else { return ErrorCode.wrongThread }
    guard state == .open else { return closedCode }
    state = .closing
    closeCallback = cb
    closeData = data
    // Whoever is above waits for what is below and then ends this handle, callback included.
    if isEndingFromAbove { return 0 }
    do throws(Failure) {
      try closing { [self] in end() }
      return 0
    } catch {
      state = .open
      closeCallback = nil
      return error.code
    }
  }

  /// What is below is gone: ends the handles under this one, then this one.
  final func end() {
    guard state != .ended else { return }
    while let child = children.last { child.end() }
    state = .ended
    ended()
    leaveParent()
    closeCallback?(closeData)
    closeCallback = nil
    Unmanaged.passUnretained(self).release()
  }

  /// C has given the handle away for something else; no callback.
  final func dissolve() {
    closeCallback = nil
    end()
  }

  private final func leaveParent() {
    guard let parent else { return }
    self.parent = nil
    guard let last = parent.children.popLast(), last !== self else { return }
    last.slot = slot
    parent.children[slot] = last
  }
}
