// SPDX-License-Identifier: Apache-2.0
import RstreamJSON
import RstreamNet

/// Somebody who is told of every change that fits a query, from the snapshot that came first.
protocol InventoryWatcher: AnyObject {
  var query: WatchQuery { get }
  /// An event as JSON.
  func tell(_ event: [UInt8])
  /// Nothing has happened for a while: a sign of life.
  func ping()
  /// There will be no more events.
  func end()
}

/// Tells watchers what changes. A watcher that is added in the same turn of the loop in which its snapshot was made
/// misses nothing and hears nothing twice.
final class InventoryFeed {
  /// Milliseconds between signs of life.
  static let pingInterval: UInt64 = 20_000

  private let loop: Loop
  private var watchers: [ObjectIdentifier: any InventoryWatcher] = [:]
  private var timer: LoopTimer?

  /// How many watch.
  var count: Int { watchers.count }

  init(_ loop: Loop) { self.loop = loop }

  func add(_ watcher: any InventoryWatcher) {
    watchers[ObjectIdentifier(watcher)] = watcher
    guard timer == nil else { return }
    timer = LoopTimer(loop) { [weak self] in
      for watcher in (self?.watchers ?? [:]).values { watcher.ping() }
    }
    timer?.start(after: Self.pingInterval, every: Self.pingInterval)
  }

  func remove(_ watcher: any InventoryWatcher) {
    guard watchers.removeValue(forKey: ObjectIdentifier(watcher)) != nil, watchers.isEmpty else { return }
    timer?.close()
    timer = nil
  }

  /// - Parameter record: as it is listed; made only when somebody watches
  func tell(
    _ resource: InventoryFilter.Resource, _ change: InventoryEvent.Change, _ record: @autoclosure () -> JSONValue
  ) {
    guard !watchers.isEmpty else { return }
    let record = record()
    var event: [UInt8]?
    for watcher in watchers.values where watcher.query.filter(resource).matches(record) {
      let bytes = event ?? InventoryEvent(resource, change, record).json.encoded
      event = bytes
      watcher.tell(bytes)
    }
  }

  /// Ends all watches.
  func end() {
    for watcher in watchers.values { watcher.end() }
  }
}
