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

/// Tells watchers what changes, until their tokens end. A watcher that is added in the same turn of the loop in which its snapshot was made
/// misses nothing and hears nothing twice.
final class InventoryFeed {
  /// Milliseconds between signs of life.
  static let pingInterval: UInt64 = 20_000
  /// Seconds after which the clock is looked at again at the latest: it may have been set.
  private static let longestWait: Int64 = 60

  private let loop: Loop
  private let place: RecordPlace
  private var watchers: [ObjectIdentifier: any InventoryWatcher] = [:]
  private var timer: LoopTimer?
  /// Runs when the first of the watchers' tokens ends.
  private var endTimer: LoopTimer?
  private var nextEnd = Int64.max

  /// How many watch.
  var count: Int { watchers.count }

  init(_ loop: Loop, at place: RecordPlace) {
    self.loop = loop
    self.place = place
  }

  func add(_ watcher: any InventoryWatcher) {
    watchers[ObjectIdentifier(watcher)] = watcher
    if let end = watcher.query.access.end, end < nextEnd { wait(until: end) }
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
    endTimer?.close()
    endTimer = nil
    nextEnd = .max
  }

  // MARK: Tokens that end

  /// - Parameter end: in seconds since 1970
  private func wait(until end: Int64) {
    nextEnd = end
    let seconds = min(max(end.subtractingReportingOverflow(Clock.seconds).partialValue, 0), Self.longestWait)
    let timer = endTimer ?? LoopTimer(loop) { [weak self] in self?.endExpired() }
    endTimer = timer
    timer.start(after: UInt64(seconds) * 1000)
  }

  private func endExpired() {
    let now = Clock.seconds
    for watcher in watchers.values where watcher.query.access.end.map({ $0 <= now }) == true { watcher.end() }
    nextEnd = .max
    if let end = watchers.values.compactMap(\.query.access.end).min() { wait(until: end) }
  }

  /// - Parameter record: as it is listed; made only when somebody watches
  func tell(
    _ resource: InventoryFilter.Resource, _ change: InventoryEvent.Change, _ record: @autoclosure () -> JSONValue
  ) {
    guard !watchers.isEmpty else { return }
    let record = record()
    var (event, eventRecord): ([UInt8], JSONValue?) = ([], nil)
    for watcher in watchers.values {
      guard let shown = watcher.query.shown(resource, record) else { continue }
      // Most see the same.
      if shown != eventRecord {
        (event, eventRecord) = (InventoryEvent(resource, change, shown, at: place).json.encoded, shown)
      }
      watcher.tell(event)
    }
  }

  /// Ends all watches.
  func end() {
    for watcher in watchers.values { watcher.end() }
  }
}
