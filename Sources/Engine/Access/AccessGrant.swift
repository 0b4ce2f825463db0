// SPDX-License-Identifier: Apache-2.0
import RstreamJSON
import RstreamWire

/// What somebody may do who has proved who they are: what the permissions allow, within the boundary.
struct AccessGrant: Equatable, Sendable {
  /// Nothing means everything.
  private let permissions: Set<Permission>?
  /// Whether there are no permissions but to look: those for other parts of the system count as well.
  private let onlyLooks: Bool
  /// Nothing means everywhere.
  private let boundary: Boundary?
  /// Whom the token was made for, where it says so.
  let userID: String?
  /// When the token was made and when it ends, in seconds since 1970, where it says so.
  private let made: Int64?
  let end: Int64?

  /// Everything, for clients that need no token and for static tokens.
  static let unrestricted = AccessGrant(permissions: nil, userID: nil)

  init(permissions: Set<Permission>?, userID: String?) {
    self.permissions = permissions
    self.userID = userID
    onlyLooks = false
    boundary = nil
    made = nil
    end = nil
  }

  /// Whether little is lost when others get to know the token: it ends within the hour and permits nothing but to look.
  var mayBeSeen: Bool {
    guard let end, let made, !end.subtractingReportingOverflow(made).overflow, end - made <= 3600 else { return false }
    if onlyLooks { return true }
    guard let boundary else { return false }
    return !boundary.mayPermit(.create) && !boundary.mayPermit(.connect)
  }

  /// Whether there can be anything that is permitted: a token may be for another project.
  var isForThisEngine: Bool {
    boundary.map { boundary in TunnelScopes.Action.allCases.contains(where: boundary.mayPermit) } ?? true
  }

  /// Whether the permission is there, and the boundary leaves something that it is for.
  func permits(_ permission: Permission) -> Bool {
    has(permission) && (boundary?.mayPermit(permission.action) ?? true)
  }

  /// Whether the permission is there, whatever the boundary says.
  func has(_ permission: Permission) -> Bool { permissions?.contains(permission) ?? true }

  // MARK: Within the boundary

  /// The properties with which a requested tunnel may be opened: the boundary can fill in some. Nothing when it may not.
  func properties(for requested: TunnelProperties) -> TunnelProperties? {
    guard permits(.createTunnels) else { return nil }
    guard let boundary else { return requested }
    return boundary.forced(requested).first
  }

  /// Whether streams of a tunnel may be opened.
  /// - Parameters:
  ///   - tunnel: as it is listed
  ///   - path: that of the HTTP request, without its query; nothing when it is no request
  func permitsStream(of tunnel: @autoclosure () -> JSONValue, path: ArraySlice<UInt8>? = nil) -> Bool {
    guard permits(.createStreams) else { return false }
    return boundary?.permitsStream(of: tunnel(), path: path) ?? true
  }

  /// What is shown of a client or tunnel; nothing when it is not to be seen.
  func shown(_ resource: InventoryFilter.Resource, _ record: JSONValue) -> JSONValue? {
    guard let boundary else { return record }
    switch resource {
    case .clients: return boundary.showsEverything ? record : nil
    case .tunnels: return boundary.selection(for: record)?.applied(to: record)
    }
  }

  /// Whether clients are shown: a boundary that shows only some tunnels, or some of what they are, says nothing of clients.
  var showsClients: Bool { boundary?.showsEverything ?? true }
}

extension AccessGrant {
  /// What verified claims allow.
  ///
  /// `permissions` is a list of names, or null (or absent) for everything. Without a list the token has to say that it is
  /// an "auth" or "app" token: a personal access token ("pat") is to be exchanged for one of these first, and one that
  /// says nothing might be meant for something else. `resources.tunnels`, once called `tunnelsGrants`, is the boundary.
  init(claims: JSONValue, at place: Boundary.Place) throws(AuthenticationFailure) {
    boundary = try AccessGrant.boundary(claims, at: place)
    let type = claims["type"]
    guard type == nil || ["auth", "app", "pat"].contains(type?.string) else {
      throw .unsupported("its type is not auth, app or pat")
    }
    switch claims["permissions"] {
    case .array(let names):
      let texts = names.compactMap(\.string)
      guard texts.count == names.count else { throw .malformed("permissions are not all texts") }
      permissions = Set(texts.compactMap(Permission.init(rawValue:)))
      onlyLooks = texts.allSatisfy { $0 == Permission.readResources.rawValue }
    case .null, nil:
      guard let type = type?.string, type != "pat" else {
        throw .unsupported("it says neither its permissions nor that it is an auth or app token")
      }
      permissions = nil
      onlyLooks = false
    default:
      throw .malformed("permissions are not a list")
    }
    userID = claims["userId"]?.string
    made = try JSONWebToken.time("iat", claims)
    end = try JSONWebToken.time("exp", claims)
  }

  private static func boundary(
    _ claims: JSONValue, at place: Boundary.Place
  ) throws(AuthenticationFailure) -> Boundary? {
    var boundaries: [Boundary] = []
    switch claims["resources"] {
    case nil, .null: break
    case .object(let members):
      for member in members {
        if member.name == "tunnels" {
          if let boundary = try BoundaryReader.read(member.value, at: place) { boundaries.append(boundary) }
        } else if member.value != .null, member.value != .object([]) {
          throw .unsupported("its resources restrict more than tunnels")
        }
      }
    default: throw .malformed("resources is not an object")
    }
    if let older = try BoundaryReader.read(claims["tunnelsGrants"], at: place) { boundaries.append(older) }
    return boundaries.count > 1 ? .all(boundaries) : boundaries.first
  }
}
