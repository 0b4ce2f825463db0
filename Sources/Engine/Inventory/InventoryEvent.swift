// SPDX-License-Identifier: Apache-2.0
import RstreamJSON

/// What watchers are told, as JSON.
struct InventoryEvent {
  enum Change: String {
    case created
    case deleted
  }

  let json: JSONValue

  /// A client or tunnel has come or gone.
  init(_ resource: InventoryFilter.Resource, _ change: Change, _ record: JSONValue, at place: RecordPlace) {
    let name =
      switch resource {
      case .clients: "client"
      case .tunnels: "tunnel"
      }
    self.init("\(name).\(change.rawValue)", change == .deleted ? InventoryEvent.offline(record) : record, place)
  }

  /// How everything stands at the moment: what a watcher is told first.
  init(snapshotOf engine: Engine, _ query: WatchQuery) {
    let clients = engine.clientsInOrder.compactMap { query.shown(.clients, $0.record) }
    let tunnels = engine.registry.tunnels.compactMap { query.shown(.tunnels, $0.record) }
    self.init(
      "state.initial",
      .object([
        JSONMember("snapshot_at", .string(Clock.now.rfc3339 ?? "")), JSONMember("clients", .array(clients)),
        JSONMember("tunnels", .array(tunnels)),
      ]), engine.recordPlace)
  }

  private init(_ type: String, _ object: JSONValue, _ place: RecordPlace) {
    let head = [
      JSONMember("id", .string(RandomHex.text(bytes: 12))), JSONMember("type", .string(type)),
      JSONMember("created_at", .string(Clock.now.rfc3339 ?? "")),
    ]
    json = .object(head + place.members + [JSONMember("object", object)])
  }

  private static func offline(_ record: JSONValue) -> JSONValue {
    guard case .object(let members) = record else { return record }
    return .object(members.map { $0.name == "status" ? JSONMember("status", .string("offline")) : $0 })
  }
}
