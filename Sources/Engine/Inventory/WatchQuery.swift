// SPDX-License-Identifier: Apache-2.0
import RstreamJSON

/// What a watcher wants to hear of: `params={"clients":{filters},"tunnels":{filters}}` in the query. A side that is left
/// out is not filtered.
struct WatchQuery: Equatable {
  private(set) var clients = InventoryFilter()
  private(set) var tunnels = InventoryFilter()
  /// Who asks: what is shown, and for how long.
  var access = AccessGrant.unrestricted

  /// Everything.
  init() {}

  init(path: [UInt8]) throws(InventoryFilter.Malformed) {
    switch QueryString(ofPath: path).value("params") {
    case .absent: self.init()
    case .malformed: throw InventoryFilter.Malformed(message: "params is not encoded correctly, or is there twice")
    case .value(let bytes): try self.init(json: bytes)
    }
  }

  init(json bytes: [UInt8]) throws(InventoryFilter.Malformed) {
    let params: JSONValue
    do { params = try JSONParser.parse(bytes) } catch {
      throw InventoryFilter.Malformed(message: "params: \(error.message)")
    }
    if params == .null { return }
    guard case .object(let members) = params else {
      throw InventoryFilter.Malformed(message: "params is not an object")
    }
    for member in members {
      switch member.name {
      case "clients": clients = try InventoryFilter(member.value, for: .clients)
      case "tunnels": tunnels = try InventoryFilter(member.value, for: .tunnels)
      default: throw InventoryFilter.Malformed(message: "params: unknown name; known are clients, tunnels")
      }
    }
  }

  /// A record as the watcher gets to see it; nothing when it does not.
  func shown(_ resource: InventoryFilter.Resource, _ record: JSONValue) -> JSONValue? {
    filter(resource).matches(record) ? access.shown(resource, record) : nil
  }

  private func filter(_ resource: InventoryFilter.Resource) -> InventoryFilter {
    switch resource {
    case .clients: clients
    case .tunnels: tunnels
    }
  }
}
