// SPDX-License-Identifier: Apache-2.0
import RstreamJSON
import RstreamNet

/// What a list is narrowed to; all conditions have to hold. Names are those of rstream/inventory.h.
public struct InventoryFilters: Equatable, Sendable {
  public enum Resource: Sendable {
    case tunnels
    case clients

    var filters: [String] {
      switch self {
      case .tunnels:
        [
          "id", "name", "type", "status", "client_id", "user_id", "protocol", "hostname", "publish", "http_version",
        ]
      case .clients:
        ["id", "status", "user_id", "agent", "channel", "version", "os", "arch", "protocol_version"]
      }
    }

    var path: String {
      switch self {
      case .tunnels: "/tunnels"
      case .clients: "/clients"
      }
    }

    var attempt: String {
      switch self {
      case .tunnels: "list tunnels"
      case .clients: "list clients"
      }
    }
  }

  public let resource: Resource
  private var values: [JSONMember] = []
  /// Null as value stands for any.
  private var labels: [JSONMember] = []

  public init(_ resource: Resource) { self.resource = resource }

  public var isEmpty: Bool { values.isEmpty && labels.isEmpty }

  /// Sets a filter; nothing as value takes it away.
  public mutating func set(_ name: String, _ value: String?) throws(Failure) {
    let prefix = "labels."
    if name.hasPrefix(prefix) {
      return try setLabel(String(name.dropFirst(prefix.count)), value.map(JSONValue.string))
    }
    guard resource.filters.contains(name) else {
      throw Failure(
        ErrorCode.invalidFilter,
        "unknown filter \(quoted(name)); known are \(resource.filters.joined(separator: ", ")) and labels.<key>")
    }
    var json = value.map(JSONValue.string)
    if name == "publish", let value {
      guard value == "true" || value == "false" else {
        throw Failure(ErrorCode.invalidFilter, "publish: \(quoted(value)) is neither true nor false")
      }
      json = .bool(value == "true")
    }
    values.removeAll { $0.name == name }
    if let json { values.append(JSONMember(name, json)) }
  }

  /// Asks for a label, whatever its value is.
  public mutating func requireLabel(_ key: String) throws(Failure) { try setLabel(key, .null) }

  private mutating func setLabel(_ key: String, _ value: JSONValue?) throws(Failure) {
    guard !key.isEmpty else { throw Failure(ErrorCode.invalidFilter, "the key of the label is empty") }
    labels.removeAll { $0.name.utf8.elementsEqual(key.utf8) }
    if let value { labels.append(JSONMember(key, value)) }
  }

  var json: JSONValue {
    .object(labels.isEmpty ? values : values + [JSONMember("labels", .object(labels))])
  }

  private func quoted(_ text: String) -> String {
    let shown = text.unicodeScalars.prefix(80).map { $0.value < 0x20 || $0.value == 0x7F ? "?" : String($0) }
    return "\"\(shown.joined())\""
  }
}
