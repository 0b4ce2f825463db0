// SPDX-License-Identifier: Apache-2.0
import RstreamJSON

/// Reads a boundary out of a token's claims. What it does not understand it refuses: leaving a restriction out would grant
/// more than the token says.
struct BoundaryReader {
  /// How many values one may consist of; how deep they are nested is bounded with the JSON.
  static let maximumValues = 512

  private let place: Boundary.Place

  /// - Parameter json: null, {} and nothing mean that there is no restriction
  static func read(_ json: JSONValue?, at place: Boundary.Place) throws(AuthenticationFailure) -> Boundary? {
    guard let json, json != .null, json != .object([]) else { return nil }
    guard count(json) <= maximumValues else {
      throw .unsupported("its resources consist of more than \(maximumValues) values")
    }
    return try BoundaryReader(place: place).boundary(json)
  }

  private static func count(_ json: JSONValue) -> Int {
    switch json {
    case .array(let elements): elements.reduce(1) { $0 + count($1) }
    case .object(let members): members.reduce(1) { $0 + count($1.value) }
    default: 1
    }
  }

  private func boundary(_ json: JSONValue) throws(AuthenticationFailure) -> Boundary {
    guard case .object(let members) = json, !members.isEmpty else {
      throw .malformed("resources: a boundary is an object that is not empty")
    }
    var all: [Boundary] = []
    for member in members {
      switch member.name {
      case "AND": all.append(.all(try branches(member.value)))
      case "OR": all.append(.any(try branches(member.value)))
      case "workspaces": all.append(.here(try names(member.value).contains(where: place.workspaces.contains)))
      case "projects": all.append(.here(try names(member.value).contains(where: place.projects.contains)))
      case "scopes": all.append(.tunnels(try scopes(member.value["tunnels"], of: member.value)))
      default: throw .malformed("resources: a boundary has AND, OR, workspaces, projects or scopes")
      }
    }
    return all.count == 1 ? all[0] : .all(all)
  }

  private func branches(_ json: JSONValue) throws(AuthenticationFailure) -> [Boundary] {
    guard case .array(let elements) = json else { throw Self.emptyTree }
    return try each(elements, boundary)
  }

  private static let emptyTree = AuthenticationFailure.malformed("resources: AND and OR are lists that are not empty")

  private func names(_ json: JSONValue) throws(AuthenticationFailure) -> [String] {
    guard case .array(let elements) = json else {
      throw .malformed("resources: workspaces and projects are lists of texts")
    }
    var names: [String] = []
    for element in elements {
      guard let name = element.string else { throw .malformed("resources: workspaces and projects are lists of texts") }
      names.append(name)
    }
    return names
  }

  // MARK: Scopes

  /// Scopes of other parts of the system permit nothing here.
  private func scopes(_ json: JSONValue?, of parent: JSONValue) throws(AuthenticationFailure) -> TunnelScopes {
    guard case .object = parent else { throw .malformed("resources: scopes is not an object") }
    guard let json else { return TunnelScopes() }
    guard case .object(let members) = json else { throw .malformed("resources: scopes.tunnels is not an object") }
    var scopes = TunnelScopes()
    for member in members {
      switch member.name {
      case "create": scopes.create = try scope(member.value, .create)
      case "connect": scopes.connect = try scope(member.value, .connect)
      case "list": scopes.list = try scope(member.value, .list)
      default: break
      }
    }
    return scopes
  }

  private func scope(
    _ json: JSONValue, _ action: TunnelScopes.Action
  ) throws(AuthenticationFailure) -> TunnelScopes.Scope? {
    switch json {
    case .bool(true): return TunnelScopes.Scope()
    case .bool(false), .null: return nil
    case .object(let members):
      var scope = TunnelScopes.Scope()
      for member in members {
        switch (member.name, action) {
        case ("filters", _): scope.tunnels = try tunnels(member.value)
        case ("params", .connect): scope.path = try path(ofParams: member.value)
        case ("select", .list): scope.selection = try selection(member.value)
        default: throw .malformed("resources: scopes have filters, connect has params and list has select as well")
        }
      }
      return scope
    default: throw .malformed("resources: scopes are true, false or objects")
    }
  }

  private func selection(_ json: JSONValue) throws(AuthenticationFailure) -> FieldSelection {
    guard case .object(let members) = json else { throw .malformed("resources: select is not an object") }
    var names: [String] = []
    for member in members {
      guard case .bool(let isShown) = member.value else { throw .malformed("resources: select has true and false") }
      if isShown { names.append(member.name) }
    }
    return .only(names)
  }

  // MARK: Paths

  private func path(ofParams json: JSONValue) throws(AuthenticationFailure) -> PathCondition? {
    guard case .object(let members) = json else { throw .malformed("resources: params is not an object") }
    var condition: PathCondition?
    for member in members {
      guard member.name == "path" else { throw .malformed("resources: the only one of params is path") }
      condition = try path(member.value)
    }
    return condition
  }

  private func path(_ json: JSONValue) throws(AuthenticationFailure) -> PathCondition {
    switch json {
    case .string(let text): return .exactly(text)
    case .object(let members):
      guard members.count == 1, let member = members.first else { break }
      switch (member.name, member.value) {
      case ("exact", .string(let text)): return .exactly(text)
      case ("AND", .array(let elements)): return .all(try each(elements, path))
      case ("OR", .array(let elements)): return .any(try each(elements, path))
      default: break
      }
    default: break
    }
    throw .malformed("resources: params.path is a text, or an object of exact, AND or OR")
  }

  // MARK: Tunnels

  private enum Form { case text, flag, number }

  private static func form(of name: String) -> Form? {
    switch name {
    case "id", "name", "type", "status", "client_id", "user_id", "workspace_id", "project_id", "protocol", "host",
      "hostname", "http_version", "tls_mode", "tls_min_version":
      .text
    case "publish", "mtls_auth", "http_use_tls", "upstream_tls", "token_auth", "rstream_auth", "challenge_mode",
      "datagram_guaranteed_delivery", "allow_cross_region_routing":
      .flag
    case "port": .number
    default: nil
    }
  }

  private func tunnels(_ json: JSONValue) throws(AuthenticationFailure) -> TunnelCondition {
    guard case .object(let members) = json else { throw .malformed("resources: filters is not an object") }
    var all: [TunnelCondition] = []
    for member in members {
      switch (member.name, member.value) {
      case ("AND", .array(let elements)): all.append(.all(try each(elements, tunnels)))
      case ("OR", .array(let elements)): all.append(.any(try each(elements, tunnels)))
      case ("AND", _), ("OR", _): throw Self.emptyTree
      case ("labels", let labels): all.append(try self.labels(labels))
      case (let name, let value):
        guard let form = Self.form(of: name) else { throw .malformed("resources: a filter has an unknown name") }
        all.append(try field(name, form, value))
      }
    }
    return .all(all)
  }

  private func field(
    _ name: String, _ form: Form, _ json: JSONValue
  ) throws(AuthenticationFailure) -> TunnelCondition {
    switch (json, form) {
    case (.string, .text), (.bool, .flag), (.integer, .number): return .field(name, json)
    case (.object(let members), _):
      guard members.count == 1, let member = members.first else { break }
      switch (member.name, member.value) {
      case ("exact", .object): break
      case ("exact", let value): return try field(name, form, value)
      case ("AND", .array(let elements)):
        return .all(try each(elements) { (element) throws(AuthenticationFailure) in try field(name, form, element) })
      case ("OR", .array(let elements)):
        return .any(try each(elements) { (element) throws(AuthenticationFailure) in try field(name, form, element) })
      default: break
      }
    default: break
    }
    throw .malformed("resources: the filter \(name) has a value of another type")
  }

  private func labels(_ json: JSONValue) throws(AuthenticationFailure) -> TunnelCondition {
    guard case .object(let members) = json else { throw .malformed("resources: filters.labels is not an object") }
    var all: [TunnelCondition] = []
    for member in members {
      switch (member.name, member.value) {
      case ("AND", .array(let elements)): all.append(.all(try each(elements, labels)))
      case ("OR", .array(let elements)): all.append(.any(try each(elements, labels)))
      case (let name, .null): all.append(.label(name, nil))
      case (let name, let value): all.append(try label(name, value))
      }
    }
    return .all(all)
  }

  private func label(_ name: String, _ json: JSONValue) throws(AuthenticationFailure) -> TunnelCondition {
    switch json {
    case .string(let text): return .label(name, text)
    case .object(let members):
      guard members.count == 1, let member = members.first else { break }
      switch (member.name, member.value) {
      case ("exact", .string(let text)): return .label(name, text)
      case ("AND", .array(let elements)):
        return .all(try each(elements) { (element) throws(AuthenticationFailure) in try label(name, element) })
      case ("OR", .array(let elements)):
        return .any(try each(elements) { (element) throws(AuthenticationFailure) in try label(name, element) })
      default: break
      }
    default: break
    }
    throw .malformed("resources: the value of a label is a text, null for any, or an object of exact, AND or OR")
  }

  /// Reads the branches of a tree.
  private func each<Branch>(
    _ elements: [JSONValue], _ read: (JSONValue) throws(AuthenticationFailure) -> Branch
  ) throws(AuthenticationFailure) -> [Branch] {
    guard !elements.isEmpty else { throw Self.emptyTree }
    return try elements.map(read)
  }
}
