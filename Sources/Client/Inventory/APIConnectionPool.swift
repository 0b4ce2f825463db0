// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// Connections to the engine's API that wait for the next request.
final class APIConnectionPool {
  /// How many wait at most, and for how many milliseconds each.
  private static let limit = 4
  private static let lifetime: UInt64 = 90_000

  private struct Entry {
    let connection: APIConnection
    let timer: LoopTimer
  }

  private let loop: Loop
  /// Where those that wait lead to.
  private var target = APITarget.engine
  /// The one used last is the last.
  private var idle: [Entry] = []
  private var isClosed = false

  /// How many wait.
  var count: Int { idle.count }

  init(_ loop: Loop) { self.loop = loop }

  /// A connection for one request; it comes back by itself when it can take another.
  func adopt(_ channel: ByteChannel, to target: APITarget) -> APIConnection {
    APIConnection(
      channel, onIdle: { [weak self] connection in self?.put(connection, target) },
      onLost: { [weak self] connection in self?.drop(connection) })
  }

  /// The waiting connection that was used last. Those to another target are not needed any more.
  func take(to target: APITarget) -> APIConnection? {
    if target != self.target { removeAll() }
    self.target = target
    guard let entry = idle.popLast() else { return nil }
    entry.timer.close()
    return entry.connection
  }

  private func put(_ connection: APIConnection, _ target: APITarget) {
    guard !isClosed, target == self.target else { return connection.close() }
    if idle.count >= Self.limit { end(idle.removeFirst()) }
    let timer = LoopTimer(loop, after: Self.lifetime) { [weak self, weak connection] in
      guard let self, let connection else { return }
      connection.close()
      drop(connection)
    }
    idle.append(Entry(connection: connection, timer: timer))
  }

  private func drop(_ connection: APIConnection) {
    guard let index = idle.firstIndex(where: { $0.connection === connection }) else { return }
    end(idle.remove(at: index))
  }

  private func end(_ entry: Entry) {
    entry.timer.close()
    entry.connection.close()
  }

  /// Ends what waits.
  func removeAll() {
    let entries = idle
    idle = []
    for entry in entries { end(entry) }
  }

  /// Ends what waits and what comes back from now on.
  func close() {
    isClosed = true
    removeAll()
  }
}
