// SPDX-License-Identifier: Apache-2.0
import RstreamJSON

/// What a token's boundary says of the tunnels that it is for.
indirect enum TunnelCondition: Equatable, Sendable {
  case all([TunnelCondition])
  case any([TunnelCondition])
  case field(String, JSONValue)
  /// Nothing as value stands for any.
  case label(String, String?)

  /// No condition at all.
  static let none = TunnelCondition.all([])

  /// Whether a tunnel, in the form in which it is listed, fulfils the condition.
  func matches(_ record: JSONValue) -> Bool {
    switch self {
    case .all(let conditions): return conditions.allSatisfy { $0.matches(record) }
    case .any(let conditions): return conditions.contains { $0.matches(record) }
    case .field(let name, let wanted):
      guard let value = record[name] else { return wanted == .bool(false) }
      return InventoryFilter.isSame(value, wanted)
    case .label(let name, let wanted):
      guard let value = record["labels"]?[name] else { return false }
      return wanted.map { InventoryFilter.isSame(value, .string($0)) } ?? true
    }
  }
}

/// Which of a tunnel's properties are shown.
enum FieldSelection: Equatable, Sendable {
  case everything
  case only([String])

  func union(_ other: FieldSelection) -> FieldSelection {
    guard case .only(let names) = self, case .only(let more) = other else { return .everything }
    return .only(names + more.filter { !names.contains($0) })
  }

  func intersection(_ other: FieldSelection) -> FieldSelection {
    switch (self, other) {
    case (.everything, let selection), (let selection, .everything): selection
    case (.only(let names), .only(let more)): .only(names.filter(more.contains))
    }
  }

  func applied(to record: JSONValue) -> JSONValue {
    guard case .only(let names) = self, case .object(let members) = record else { return record }
    return .object(members.filter { names.contains($0.name) })
  }
}

/// What a boundary says of the path of an HTTP request.
indirect enum PathCondition: Equatable, Sendable {
  case all([PathCondition])
  case any([PathCondition])
  case exactly(String)

  /// - Parameter path: without its query
  func matches(_ path: ArraySlice<UInt8>) -> Bool {
    switch self {
    case .all(let conditions): conditions.allSatisfy { $0.matches(path) }
    case .any(let conditions): conditions.contains { $0.matches(path) }
    case .exactly(let wanted): wanted.utf8.elementsEqual(path)
    }
  }
}
