// SPDX-License-Identifier: Apache-2.0
import RstreamJSON
import RstreamWire

@testable import RstreamEngine

// Any bytes as the query of a request for a list, and as JSON.

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: start, count: count))
  checkQuery(Array("/api/tunnels?".utf8) + input)
  checkJSON(input)
  if let equals = input.firstIndex(of: UInt8(ascii: "=")) { checkJSON(Array(input[equals...].dropFirst())) }
  return 0
}

private func expect(_ condition: Bool, _ what: @autoclosure () -> String) {
  if !condition { fatalError(what()) }
}

private let records: [JSONValue] = {
  var properties = TunnelProperties()
  properties.name = "web"
  properties.publish = true
  properties.labels = ["team": "red", "env": "prod"]
  let tunnel = TunnelRecord(properties: properties, clientID: "c", userID: "u").json
  return [tunnel, ClientRecord(id: "c", userID: nil, details: ClientDetails(agent: "x")).json, tunnel]
}()

/// Lists never have more than was asked for, and what is removed from a query is gone.
private func checkQuery(_ path: [UInt8]) {
  for resource in [InventoryFilter.Resource.tunnels, .clients] {
    guard let query = try? InventoryQuery(path: path, for: resource) else { continue }
    guard case .array(let selected) = query.select(records, shown: { $0 }) else { fatalError("no array") }
    expect(selected.count <= min(query.limit ?? .max, records.count), "more than asked for")
  }
  for name in ["params", "rstream.token"] {
    let removed = QueryString.removing(name, fromPath: path)
    expect(QueryString(ofPath: removed).value(name) == .absent, "not removed")
  }
}

/// What was read can be written, and reading that gives the same.
private func checkJSON(_ text: [UInt8]) {
  guard let value = try? JSONParser.parse(text) else { return }
  guard let again = try? JSONParser.parse(value.encoded) else { fatalError("cannot read what was written: \(value)") }
  expect(again == value, "read \(value), then \(again)")
}
