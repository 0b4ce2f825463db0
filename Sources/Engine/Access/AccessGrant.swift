// SPDX-License-Identifier: Apache-2.0
import RstreamJSON

/// What somebody may do who has proved who they are.
struct AccessGrant: Equatable, Sendable {
  /// Nothing means everything.
  private let permissions: Set<Permission>?
  /// Whom the token was made for, where it says so.
  let userID: String?
  /// Seconds from when the token was made to when it ends, where it says so.
  let lifetime: Int64?

  /// Everything, for clients that need no token and for static tokens.
  static let unrestricted = AccessGrant(permissions: nil, userID: nil)

  init(permissions: Set<Permission>?, userID: String?) {
    self.permissions = permissions
    self.userID = userID
    lifetime = nil
  }

  /// Whether little is lost when others get to know the token: it ends within the hour and permits nothing but to look.
  var mayBeSeen: Bool {
    guard let lifetime, let permissions else { return false }
    return lifetime <= 3600 && permissions.isSubset(of: [.readResources])
  }

  func permits(_ permission: Permission) -> Bool {
    permissions?.contains(permission) ?? true
  }
}

extension AccessGrant {
  /// What verified claims allow.
  ///
  /// `permissions` is a list of names, or null (or absent) for everything. Without a list the token has to say that it is
  /// an "auth" or "app" token: a personal access token ("pat") is to be exchanged for one of these first, and one that
  /// says nothing might be meant for something else. Restrictions to projects or tunnels (`resources`, once called
  /// `tunnelsGrants`) are not implemented: tokens that have them are refused rather than taken without them.
  init(claims: JSONValue) throws(AuthenticationFailure) {
    for name in ["resources", "tunnelsGrants"] where !AccessGrant.isEmpty(claims[name]) {
      throw .unsupported("it is restricted by \(name), which this engine does not implement")
    }
    let type = claims["type"]
    guard type == nil || ["auth", "app", "pat"].contains(type?.string) else {
      throw .unsupported("its type is not auth, app or pat")
    }
    switch claims["permissions"] {
    case .array(let names):
      let texts = names.compactMap(\.string)
      guard texts.count == names.count else { throw .malformed("permissions are not all texts") }
      permissions = Set(texts.compactMap(Permission.init(rawValue:)))
    case .null, nil:
      guard let type = type?.string, type != "pat" else {
        throw .unsupported("it says neither its permissions nor that it is an auth or app token")
      }
      permissions = nil
    default:
      throw .malformed("permissions are not a list")
    }
    userID = claims["userId"]?.string
    if case .integer(let end) = claims["exp"], case .integer(let start) = claims["iat"] {
      let (difference, overflow) = end.subtractingReportingOverflow(start)
      lifetime = overflow ? nil : difference
    } else {
      lifetime = nil
    }
  }

  private static func isEmpty(_ value: JSONValue?) -> Bool {
    switch value {
    case nil, .null: true
    case .object(let members): members.allSatisfy { isEmpty($0.value) }
    default: false
    }
  }
}
