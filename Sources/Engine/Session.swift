// SPDX-License-Identifier: Apache-2.0

/// Something that holds accepted connections: a connection of which nothing is known yet, a control channel, a consumer's
/// stream, an HTTP connection. The table keeps it alive; it leaves the table when it has ended.
protocol Session: AnyObject {
  /// The engine stops: end soon, without cutting off what can still be finished. The engine calls `cut` when its time is up.
  func drain()
  /// Ends at once: connections are reset, timers closed, the table left.
  func cut()
}

/// Every session of an engine.
final class SessionTable {
  private var sessions: [ObjectIdentifier: any Session] = [:]
  /// Called, once the engine has set it, when the last session has left.
  var onEmpty: (() -> Void)?

  var isEmpty: Bool { sessions.isEmpty }

  func add(_ session: any Session) { sessions[ObjectIdentifier(session)] = session }

  func remove(_ session: any Session) {
    guard sessions.removeValue(forKey: ObjectIdentifier(session)) != nil, sessions.isEmpty else { return }
    onEmpty?()
  }

  func drain() {
    for session in Array(sessions.values) { session.drain() }
  }

  func cut() {
    for session in Array(sessions.values) { session.cut() }
  }
}
