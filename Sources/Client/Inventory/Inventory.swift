// SPDX-License-Identifier: Apache-2.0
import RstreamJSON
import RstreamNet
import RstreamWire

/// What an engine told about its tunnels or clients.
public struct Inventory: Sendable {
  public let resource: InventoryFilters.Resource
  public let items: [InventoryItem]
  private let isList: Bool

  /// Reads a list; what in it is no object is left out.
  init(list bytes: [UInt8], of resource: InventoryFilters.Resource, _ attempt: String) throws(Failure) {
    guard case .array(let elements) = try Inventory.parse(bytes, attempt) else {
      throw Inventory.unexpected(attempt, "it is no list")
    }
    self.init(elements, of: resource)
  }

  /// A list; what in it is no object is left out.
  init(_ elements: [JSONValue], of resource: InventoryFilters.Resource) {
    self.resource = resource
    items = elements.compactMap(InventoryItem.init)
    isList = true
  }

  /// Reads one tunnel.
  init(tunnel bytes: [UInt8], _ attempt: String) throws(Failure) {
    guard let item = InventoryItem(try Inventory.parse(bytes, attempt)) else {
      throw Inventory.unexpected(attempt, "it is no object")
    }
    resource = .tunnels
    items = [item]
    isList = false
  }

  /// All that was told, on one line.
  public var json: String {
    let value = isList ? JSONValue.array(items.map(\.json)) : items.first?.json ?? .null
    return String(decoding: value.encoded, as: UTF8.self)
  }

  private static func parse(_ bytes: [UInt8], _ attempt: String) throws(Failure) -> JSONValue {
    do { return try JSONParser.parse(bytes, limit: APIRequest.bodyLimit) } catch {
      throw unexpected(attempt, error.message)
    }
  }

  private static func unexpected(_ attempt: String, _ what: String) -> Failure {
    Failure(
      ErrorCode.engineAPIPayload,
      "\(attempt): the engine's answer cannot be used: \(what); is this the address of an rstream engine?")
  }
}

/// One tunnel or client. A property of another type than it should have counts as not set.
public struct InventoryItem: Sendable {
  let json: JSONValue
  private let members: [JSONMember]

  init?(_ json: JSONValue) {
    guard case .object(let members) = json else { return nil }
    self.json = json
    self.members = members
  }

  private enum Form { case text, flag, number, list, labels, any }

  /// A property as text; lists are comma-separated.
  public func property(_ name: String) -> String? {
    let prefix = "labels."
    if name.hasPrefix(prefix) { return json["labels"]?[String(name.dropFirst(prefix.count))]?.string }
    return json[name].flatMap { Self.text($0, Self.form(of: name)) }
  }

  /// The names of the properties that are set.
  public var propertyNames: [String] {
    members.flatMap { member -> [String] in
      if member.name == "labels", case .object(let labels) = member.value {
        return labels.filter { $0.value.string != nil }.map { "labels.\($0.name)" }
      }
      return Self.text(member.value, Self.form(of: member.name)) == nil ? [] : [member.name]
    }
  }

  /// Where others reach a tunnel.
  public var forwardingAddress: String? {
    var properties = TunnelProperties()
    properties.id = property("id")
    properties.name = property("name")
    properties.protocol = property("protocol")
    properties.hostname = property("hostname")
    properties.host = property("host")
    properties.port = property("port").flatMap { UInt32($0) }
    return properties.forwardingAddress
  }

  private static func form(of name: String) -> Form {
    switch name {
    case "publish", "mtls_auth", "http_use_tls", "upstream_tls", "token_auth", "rstream_auth", "challenge_mode",
      "datagram_guaranteed_delivery", "allow_cross_region_routing":
      .flag
    case "port": .number
    case "geo_ip", "trusted_ips", "tls_alpns", "tls_ciphers": .list
    case "labels": .labels
    case "id", "creation_date", "name", "type", "protocol", "host", "hostname", "tls_mode", "tls_min_version",
      "http_version", "client_id", "status", "user_id", "workspace_id", "project_id", "cluster_id", "plan", "provider",
      "region", "agent", "channel", "version", "os", "arch", "protocol_version":
      .text
    default: .any
    }
  }

  private static func text(_ value: JSONValue, _ form: Form) -> String? {
    switch (value, form) {
    case (.string(let text), .text), (.string(let text), .any): text
    case (.bool(let flag), .flag), (.bool(let flag), .any): flag ? "true" : "false"
    case (.integer(let number), .number), (.integer(let number), .any): String(number)
    case (.array(let elements), .list): elements.compactMap(\.string).joined(separator: ",")
    default: nil
    }
  }
}
