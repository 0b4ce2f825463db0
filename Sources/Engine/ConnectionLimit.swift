// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// Counts the connections that the engine's listeners have accepted and that still hold a socket.
final class ConnectionLimit {
  private let maximum: Int
  private(set) var count = 0
  /// Since the engine was made.
  private(set) var accepted: UInt64 = 0
  private(set) var refused: UInt64 = 0
  private var hasWarned = false

  init(_ maximum: Int) { self.maximum = maximum }

  /// Counts a connection until it is gone. False when there are too many: then it has been reset. Its peer learns that
  /// at once; left in the backlog it would only hang.
  func admit(_ socket: SocketChannel) -> Bool {
    guard let place = admit() else {
      socket.reset()
      return false
    }
    socket.attachment = place
    return true
  }

  /// Counts a connection, or a stream of one, as long as what is returned lives. Nil when there are too many.
  func admit() -> AnyObject? {
    guard count < maximum else {
      if !hasWarned { Log.warn("engine", "limits.connections: \(maximum) connections are open, refusing more") }
      hasWarned = true
      refused += 1
      return nil
    }
    hasWarned = false
    count += 1
    accepted += 1
    return Place(self)
  }

  private final class Place {
    private let limit: ConnectionLimit
    init(_ limit: ConnectionLimit) { self.limit = limit }
    deinit { limit.count -= 1 }
  }
}
