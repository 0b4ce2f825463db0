// SPDX-License-Identifier: Apache-2.0

/// How a client reaches its engine.
public enum TransportMode: Sendable {
  /// QUIC where it gets through, TLS where it does not.
  case auto
  case tls
  case quic

  init(setting: String) throws(ConfigError) {
    switch HostName.lowercased(setting.trimmed()) {
    case "auto": self = .auto
    case "tls": self = .tls
    case "quic": self = .quic
    default:
      throw ConfigError(.invalidConfig, "\(setting.quoted()) is not a tunnel transport; use auto, tls or quic")
    }
  }
}

/// The settings of a client; names and defaults are those of rstream/config.h. What the caller sets lies over what was
/// loaded from the environment and the configuration file.
public struct ClientSettings: Sendable {
  typealias Key = ClientSettingKey

  var given = SettingTable<Key>()
  var loaded = LoadedSettings()
  /// The address that the control plane has told.
  public var resolvedEngine: EngineAddress?

  public init() {}

  public static var names: [String] { Key.allCases.map(\.rawValue) }

  public static func defaultValue(_ name: String) -> String? { Key(rawValue: name)?.defaultValue }

  /// Sets one setting by name; nothing as value unsets it, whether it was set or loaded.
  public mutating func set(_ name: String, _ value: String?) throws(ConfigError) {
    try given.set(name, value)
    guard let key = Key(rawValue: name) else { return }
    if value == nil {
      loaded.remove(key)
    } else if key.isCertificate {
      loaded.removeIdentity()
    }
  }

  /// The value as it was set or loaded; nothing when it was not or the name is unknown.
  public func get(_ name: String) -> String? {
    guard let key = Key(rawValue: name) else { return nil }
    switch key {
    case .headers: return headers.headers.isEmpty ? nil : headers.json
    case .proxyHeaders: return proxyHeaders.headers.isEmpty ? nil : proxyHeaders.json
    default: return value(key)
    }
  }

  /// Without the default.
  func value(_ key: Key) -> String? { given.given(key) ?? loaded.value(key) }

  func text(_ key: Key) -> String? { value(key) ?? key.defaultValue }

  func flag(_ key: Key) -> Bool { text(key) == "true" }

  func number(_ key: Key) -> Int { text(key)?.trimmed().wholeNumber() ?? 0 }

  /// A setting for a message: its name and, when it was loaded, from where.
  func named(_ key: Key) -> String {
    guard given.given(key) == nil, let place = loaded.place(key) else { return key.rawValue }
    return "\(key.rawValue) (\(place))"
  }
}

// MARK: - Typed values

extension ClientSettings {
  /// The engine's host and port, normalized; nothing when it is not set and nobody has told it.
  public var engine: EngineAddress? { resolvedEngine ?? text(.engine).flatMap { try? EngineAddress($0) } }

  /// The managed project whose engine the control plane has to tell; nothing when the engine is known.
  public var project: ManagedProject? {
    guard region != nil || text(.engine) == nil, let endpoint = projectEndpoint, let apiURL else { return nil }
    return ManagedProject(apiURL: apiURL, endpoint: endpoint, region: region)
  }

  /// Nothing when none is to be used.
  public var token: String? { flag(.noToken) ? nil : text(.token)?.trimmed() }
  public var isAuthenticationRequired: Bool { flag(.authenticationRequired) }

  /// The control plane.
  public var apiURL: APIURL? { text(.apiURL).flatMap { try? APIURL($0) } }
  /// Where clients with a certificate find the engine's API; nothing when the engine has to tell.
  public var mtlsAPI: EngineAddress? { text(.mtlsAPIURL).flatMap { try? MTLSAPIURL($0.trimmed()).address } }
  public var projectEndpoint: String? { text(.projectEndpoint)?.trimmed() }
  /// In lower case; nothing when the control plane is to choose.
  public var region: String? { text(.region).flatMap { try? Region.normalized($0) } }
  /// For requests to the control plane, never to the engine.
  public var headers: HeaderList { merged(.headers, .controlPlane) }

  public var transportMode: TransportMode { text(.mode).flatMap { try? TransportMode(setting: $0) } ?? .tls }
  public var congestionControl: String { text(.congestionControl) ?? "cubic" }
  public var qlogDirectory: String? { text(.qlogDirectory) }
  public var keyLogFile: String? { text(.keyLogFile) }
  public var caFile: String? { text(.caFile) }
  public var serverName: String? { text(.serverName)?.trimmed() }
  public var insecureSkipVerify: Bool { flag(.insecureSkipVerify) }
  public var proxyHeaders: HeaderList { merged(.proxyHeaders, .proxy) }

  public var zeroRtt: Bool { flag(.zeroRtt) }
  public var heartbeatEnabled: Bool { flag(.heartbeatEnabled) }
  public var heartbeatIntervalMilliseconds: Int { number(.heartbeatInterval) }
  public var connectTimeoutMilliseconds: Int { number(.connectTimeout) }
  public var operationTimeoutMilliseconds: Int { number(.operationTimeout) }

  private func merged(_ key: Key, _ receiver: HeaderList.Receiver) -> HeaderList {
    func headers(_ json: String?) -> HeaderList { json.flatMap { try? HeaderList(json: $0, receiver) } ?? .none }
    return headers(loaded.value(key)).merging(headers(given.given(key)))
  }
}
