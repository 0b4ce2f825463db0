// SPDX-License-Identifier: Apache-2.0
import RstreamJSON

/// What a token is restricted to, besides its permissions: a tree of conditions on where it is used and on tunnels.
/// Branches of "AND" permit what all of them permit, those of "OR" what any of them does.
indirect enum Boundary: Equatable, Sendable {
  case all([Boundary])
  case any([Boundary])
  /// Whether the workspaces or projects that it names are this engine's.
  case here(Bool)
  case tunnels(TunnelScopes)

  /// Where an engine is, as boundaries name it.
  struct Place: Sendable {
    var workspaces: [String] = []
    var projects: [String] = []
  }

  /// Whether there can be any tunnel that the action is permitted for.
  func mayPermit(_ action: TunnelScopes.Action) -> Bool {
    switch self {
    case .all(let branches): branches.allSatisfy { $0.mayPermit(action) }
    case .any(let branches): branches.contains { $0.mayPermit(action) }
    case .here(let isHere): isHere
    case .tunnels(let scopes): scopes[action] != nil
    }
  }

  /// Whether streams of a tunnel may be opened.
  /// - Parameters:
  ///   - tunnel: as it is listed
  ///   - path: that of the HTTP request; nothing when what is opened is no request
  func permitsStream(of tunnel: JSONValue, path: ArraySlice<UInt8>?) -> Bool {
    switch self {
    case .all(let branches): return branches.allSatisfy { $0.permitsStream(of: tunnel, path: path) }
    case .any(let branches): return branches.contains { $0.permitsStream(of: tunnel, path: path) }
    case .here(let isHere): return isHere
    case .tunnels(let scopes):
      guard let scope = scopes.connect, scope.tunnels.matches(tunnel) else { return false }
      guard let wanted = scope.path else { return true }
      // What goes through other streams cannot be seen.
      return path.map(wanted.matches) ?? false
    }
  }

  /// What may be seen of a tunnel; nothing when it may not be seen at all.
  /// - Parameter tunnel: as it is listed
  func selection(for tunnel: JSONValue) -> FieldSelection? {
    switch self {
    case .all(let branches):
      var common = FieldSelection.everything
      for branch in branches {
        guard let selection = branch.selection(for: tunnel) else { return nil }
        common = common.intersection(selection)
      }
      return common
    case .any(let branches):
      return branches.reduce(nil) { found, branch in
        guard let selection = branch.selection(for: tunnel) else { return found }
        return found?.union(selection) ?? selection
      }
    case .here(let isHere):
      return isHere ? .everything : nil
    case .tunnels(let scopes):
      guard let scope = scopes.list, scope.tunnels.matches(tunnel) else { return nil }
      return scope.selection
    }
  }

  /// Whether every tunnel may be seen in full.
  var showsEverything: Bool {
    switch self {
    case .all(let branches): branches.allSatisfy(\.showsEverything)
    case .any(let branches): branches.contains(where: \.showsEverything)
    case .here(let isHere): isHere
    case .tunnels(let scopes): scopes.list == TunnelScopes.Scope()
    }
  }
}

/// What may be done with which tunnels. Nothing for an action means that it is not permitted.
struct TunnelScopes: Equatable, Sendable {
  enum Action: CaseIterable, Sendable {
    case create
    case connect
    case list
  }

  struct Scope: Equatable, Sendable {
    var tunnels = TunnelCondition.none
    /// For "connect".
    var path: PathCondition?
    /// For "list".
    var selection = FieldSelection.everything
  }

  var create: Scope?
  var connect: Scope?
  var list: Scope?

  subscript(_ action: Action) -> Scope? {
    switch action {
    case .create: create
    case .connect: connect
    case .list: list
    }
  }
}
