// SPDX-License-Identifier: Apache-2.0
import RstreamJSON
import RstreamWire

extension Boundary {
  /// How many ways of filling in a request are followed.
  private static let ways = 64

  /// The ways in which a requested tunnel may be opened, the first one first: what conditions ask for and the request
  /// leaves out is filled in. None when the request says something else, or opening tunnels is not permitted.
  func forced(_ requested: TunnelProperties) -> [TunnelProperties] {
    switch self {
    case .all(let branches):
      branches.reduce([requested]) { ways, branch in Array(ways.flatMap(branch.forced).prefix(Self.ways)) }
    case .any(let branches): Array(branches.flatMap { $0.forced(requested) }.prefix(Self.ways))
    case .here(let isHere): isHere ? [requested] : []
    case .tunnels(let scopes): scopes.create.map { Boundary.forced($0.tunnels, requested) } ?? []
    }
  }

  private static func forced(_ condition: TunnelCondition, _ requested: TunnelProperties) -> [TunnelProperties] {
    switch condition {
    case .all(let conditions):
      return conditions.reduce([requested]) { found, condition in
        Array(found.flatMap { forced(condition, $0) }.prefix(ways))
      }
    case .any(let conditions):
      return Array(conditions.flatMap { forced($0, requested) }.prefix(ways))
    case .field(let name, let value):
      var properties = requested
      return properties.force(name, value) ? [properties] : []
    case .label(let name, let wanted):
      var properties = requested
      return properties.forceLabel(name, wanted) ? [properties] : []
    }
  }
}

extension TunnelProperties {
  /// Gives a property this value; false when it has another one already, or is not for clients to choose.
  fileprivate mutating func force(_ name: String, _ value: JSONValue) -> Bool {
    switch value {
    case .string(let text):
      guard let path = Self.textProperties[name] else { return false }
      return forceText(path, text)
    case .bool(let flag):
      guard let path = Self.flagProperties[name] else { return false }
      return force(path, flag)
    case .integer(let number):
      guard name == "port", let number = UInt32(exactly: number) else { return false }
      return force(\.port, number)
    default:
      return false
    }
  }

  private mutating func force<Value: Equatable>(_ path: WritableKeyPath<Self, Value?>, _ wanted: Value) -> Bool {
    if let value = self[keyPath: path] { return value == wanted }
    self[keyPath: path] = wanted
    return true
  }

  /// A blank text is as good as none; texts are the same when their bytes are.
  private mutating func forceText(_ path: WritableKeyPath<Self, String?>, _ wanted: String) -> Bool {
    if let value = self[keyPath: path], value != "" { return value.utf8.elementsEqual(wanted.utf8) }
    self[keyPath: path] = wanted
    return true
  }

  fileprivate mutating func forceLabel(_ name: String, _ wanted: String?) -> Bool {
    if let value = labels[name] { return wanted.map { value.utf8.elementsEqual($0.utf8) } ?? true }
    guard let wanted else { return false }
    labels[name] = wanted
    return true
  }

  private static var textProperties: [String: WritableKeyPath<Self, String?>] {
    [
      "name": \.name, "type": \.type, "protocol": \.protocol, "hostname": \.hostname, "tls_mode": \.tlsMode,
      "tls_min_version": \.tlsMinVersion, "http_version": \.httpVersion,
    ]
  }

  private static var flagProperties: [String: WritableKeyPath<Self, Bool?>] {
    [
      "publish": \.publish, "mtls_auth": \.mtlsAuth, "http_use_tls": \.httpUseTLS, "upstream_tls": \.upstreamTLS,
      "token_auth": \.tokenAuth, "rstream_auth": \.rstreamAuth, "challenge_mode": \.challengeMode,
      "datagram_guaranteed_delivery": \.datagramGuaranteedDelivery,
      "allow_cross_region_routing": \.allowCrossRegionRouting,
    ]
  }
}
