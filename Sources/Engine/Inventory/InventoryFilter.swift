// SPDX-License-Identifier: Apache-2.0
import RstreamJSON

/// What a list can be narrowed to. All conditions have to hold.
struct InventoryFilter: Equatable {
  enum Resource {
    case clients
    case tunnels
  }

  /// A request that names something unknown or of the wrong type: answered with 400 and these words.
  struct Malformed: Error, Equatable {
    let message: String
  }

  private var values: [JSONMember] = []
  /// Null as value stands for any.
  private var labels: [JSONMember] = []

  /// No condition at all.
  init() {}

  /// Reads an object of filters. Null instead of the object or of a filter's value means that there is none.
  init(_ json: JSONValue?, for resource: Resource) throws(Malformed) {
    guard let json, json != .null else { return }
    guard case .object(let members) = json else { throw Malformed(message: "filters is not an object") }
    for member in members where member.value != .null { try add(member, resource) }
  }

  private mutating func add(_ member: JSONMember, _ resource: Resource) throws(Malformed) {
    switch (member.name, member.value) {
    case ("labels", .object(let wanted)):
      for label in wanted {
        switch label.value {
        case .string, .null: labels.append(label)
        default: throw Malformed(message: "filters.labels: values are texts, or null for any value")
        }
      }
    case ("labels", _):
      throw Malformed(message: "filters.labels is not an object")
    case ("publish", .bool) where resource == .tunnels:
      values.append(member)
    case ("publish", _) where resource == .tunnels:
      throw Malformed(message: "filters.publish is neither true nor false")
    case (let name, let value):
      let names = InventoryFilter.textFilters(resource)
      guard names.contains(name) else {
        throw Malformed(
          message:
            "unknown filter; known are \((names + InventoryFilter.otherFilters(resource)).joined(separator: ", "))")
      }
      guard case .string = value else { throw Malformed(message: "filters.\(name) is not a text") }
      values.append(member)
    }
  }

  private static func textFilters(_ resource: Resource) -> [String] {
    switch resource {
    case .tunnels:
      ["id", "name", "type", "status", "client_id", "user_id", "protocol", "hostname", "http_version"]
    case .clients:
      ["id", "status", "user_id", "agent", "channel", "version", "os", "arch", "protocol_version"]
    }
  }

  private static func otherFilters(_ resource: Resource) -> [String] {
    resource == .tunnels ? ["publish", "labels"] : ["labels"]
  }

  /// Whether a record, in the form in which it is listed, fulfils all conditions.
  func matches(_ record: JSONValue) -> Bool {
    guard values.allSatisfy({ InventoryFilter.isSame(record[$0.name], $0.value) }) else { return false }
    return labels.allSatisfy { label in
      guard let value = record["labels"]?[label.name] else { return false }
      return label.value == .null || InventoryFilter.isSame(value, label.value)
    }
  }

  /// Texts are the same when their bytes are.
  static func isSame(_ one: JSONValue?, _ other: JSONValue) -> Bool {
    if case .string(let text) = one, case .string(let wanted) = other { return text.utf8.elementsEqual(wanted.utf8) }
    return one == other
  }
}
