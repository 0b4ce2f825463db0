// SPDX-License-Identifier: Apache-2.0
import RstreamJSON
import RstreamNet

@testable import RstreamClient

// What an engine's API may send to a client: a list, an error, a stream of events; in one piece and in many it is the same.

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  checkLists(bytes)
  checkWords(bytes)
  let whole = events(bytes, pieces: [])
  expect(whole == events(bytes, pieces: [1]), "byte by byte there are other events")
  expect(whole == events(bytes, pieces: bytes.prefix(16).map { Int($0 & 15) + 1 }), "in pieces there are other events")
  for event in whole ?? [] {
    guard let read = try? InventoryEvent(event) else { continue }
    for item in read.tunnels.items + read.clients.items { check(item) }
    expect((try? JSONParser.parse(Array(read.json.utf8))) != nil, "an event was not written as JSON")
  }
  return 0
}

private func checkLists(_ bytes: [UInt8]) {
  if let list = try? Inventory(list: bytes, of: .tunnels, "fuzz") {
    for item in list.items { check(item) }
    expect((try? Inventory(list: Array(list.json.utf8), of: .tunnels, "fuzz"))?.json == list.json, "read, then other")
  }
  if let one = try? Inventory(tunnel: bytes, "fuzz") { for item in one.items { check(item) } }
}

/// Each name that is listed has a value.
private func check(_ item: InventoryItem) {
  for name in item.propertyNames where !name.hasPrefix("labels.") {
    expect(item.property(name) != nil, "\(name) has no value")
  }
  _ = item.forwardingAddress
}

/// What an engine says in an error is one line and does not repeat the token.
private func checkWords(_ bytes: [UInt8]) {
  let secret = "secret"
  let words = APIError.words(
    HTTPResponseHead(status: 500, reason: "Oops"), bytes + Array(secret.utf8), hiding: Secrets([secret]))
  expect(!words.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F }, "control characters in words")
  expect(words.unicodeScalars.count <= 203, "too many words")
  expect(!words.hasSuffix(secret), "the token is repeated")
}

/// The events in a stream; nothing when it is refused.
private func events(_ bytes: [UInt8], pieces: [Int]) -> [[UInt8]]? {
  var parser = EventStreamParser(limit: 64)
  var found: [[UInt8]] = []
  var (position, turn) = (0, 0)
  while position < bytes.count {
    let size = pieces.isEmpty ? bytes.count : pieces[turn % pieces.count]
    let end = min(bytes.count, position + size)
    guard let more = try? bytes[position..<end].withUnsafeBytes({ try parser.feed($0) }) else { return nil }
    found += more
    (position, turn) = (end, turn + 1)
  }
  guard let last = try? parser.finish() else { return found }
  return found + [last]
}

private func expect(_ condition: Bool, _ message: @autoclosure () -> String) {
  if !condition { fatalError(message()) }
}
