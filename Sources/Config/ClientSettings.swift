// SPDX-License-Identifier: Apache-2.0

/// How a client reaches its engine.
public enum TransportMode: Sendable {
  case tls

  /// "auto" asks for the best transport there is, which is TLS here; "quic" asks for nothing less.
  init(setting: String) throws(ConfigError) {
    switch HostName.lowercased(setting.trimmed()) {
    case "tls", "auto":
      self = .tls
    case "quic":
      throw ConfigError(.unsupportedTransport, "this build has no QUIC transport; use tls")
    default:
      throw ConfigError(.invalidConfig, "\(setting.quoted()) is not a transport; use tls or auto")
    }
  }
}

/// The settings of a client; names and defaults are those of rstream/config.h.
public struct ClientSettings: Sendable {
  private var table = SettingTable<Key>()

  public init() {}

  public static var names: [String] { Key.allCases.map(\.rawValue) }

  public static func defaultValue(_ name: String) -> String? { Key(rawValue: name)?.defaultValue }

  /// Sets one setting by name; nothing as value unsets it.
  public mutating func set(_ name: String, _ value: String?) throws(ConfigError) {
    try table.set(name, value)
  }

  /// The value as it was set or loaded; nothing when it was not or the name is unknown.
  public func get(_ name: String) -> String? {
    Key(rawValue: name).flatMap(table.given)
  }

  /// Refuses settings that cannot work together. `now` is in seconds since 1970.
  public func validate(now: Int64) throws(ConfigError) {
    guard engine != nil else {
      throw ConfigError(.engineRequired, "no engine address is configured; set engine or RSTREAM_ENGINE")
    }
    guard (certificateFile == nil) == (keyFile == nil) else {
      throw ConfigError(
        .mtlsIncomplete, "auth.mtls.certificateFile and auth.mtls.keyFile are both required, only one of them is set")
    }
    guard token == nil || certificateFile == nil else {
      throw ConfigError(.authConflict, "token and mTLS authentication cannot be used together; unset one of them")
    }
    if let token, let expiry = TokenExpiry.of(token), expiry <= now {
      throw ConfigError(
        .tokenExpired, "the token has expired; set auth.token or RSTREAM_AUTHENTICATION_TOKEN to a new one")
    }
  }

  /// Fills in what is not set from environment variables. Values are trimmed, blank ones count as absent. A client
  /// certificate is taken as a pair: when one of its files is set already, the environment's are left alone.
  public mutating func loadEnvironment(_ lookup: (String) -> String?) throws(ConfigError) {
    try fill(.engine, from: "RSTREAM_ENGINE", lookup)
    try fill(.token, from: "RSTREAM_AUTHENTICATION_TOKEN", lookup)
    try fill(.mode, from: "RSTREAM_TUNNEL_TRANSPORT", lookup)
    try fill(.caFile, from: "RSTREAM_CA_FILE", lookup)
    if certificateFile == nil, keyFile == nil {
      try fill(.certificateFile, from: "RSTREAM_MTLS_CERT_FILE", lookup)
      try fill(.keyFile, from: "RSTREAM_MTLS_KEY_FILE", lookup)
    }
  }

  private mutating func fill(_ key: Key, from variable: String, _ lookup: (String) -> String?) throws(ConfigError) {
    guard table.given(key) == nil, let value = lookup(variable)?.trimmed(), !value.isEmpty else { return }
    do { try table.set(key, value) } catch { throw error.at(variable) }
  }
}

// MARK: - Typed values

extension ClientSettings {
  /// The engine's host and port, normalized; nothing when it is not set.
  public var engine: EngineAddress? {
    guard let text = table.text(.engine) else { return nil }
    return try? EngineAddress(text)
  }
  public var token: String? { table.text(.token) }
  public var certificateFile: String? { table.text(.certificateFile) }
  public var keyFile: String? { table.text(.keyFile) }
  public var transportMode: TransportMode { .tls }
  public var caFile: String? { table.text(.caFile) }
  public var serverName: String? { table.text(.serverName) }
  public var insecureSkipVerify: Bool { table.flag(.insecureSkipVerify) }
  public var zeroRtt: Bool { table.flag(.zeroRtt) }
  public var heartbeatEnabled: Bool { table.flag(.heartbeatEnabled) }
  public var heartbeatIntervalMilliseconds: Int { table.number(.heartbeatInterval) }
  public var connectTimeoutMilliseconds: Int { table.number(.connectTimeout) }
  public var operationTimeoutMilliseconds: Int { table.number(.operationTimeout) }
}

extension ClientSettings {
  private enum Key: String, SettingKey {
    case engine = "engine"
    case token = "auth.token"
    case certificateFile = "auth.mtls.certificateFile"
    case keyFile = "auth.mtls.keyFile"
    case mode = "transport.mode"
    case caFile = "transport.tls.caFile"
    case serverName = "transport.tls.serverName"
    case insecureSkipVerify = "transport.tls.insecureSkipVerify"
    case zeroRtt = "zeroRtt"
    case heartbeatEnabled = "heartbeat.enabled"
    case heartbeatInterval = "heartbeat.intervalMs"
    case connectTimeout = "timeouts.connectMs"
    case operationTimeout = "timeouts.operationMs"

    var form: SettingForm {
      switch self {
      case .engine: .engineAddress
      case .token: .token
      case .certificateFile, .keyFile, .caFile: .path
      case .mode: .transportMode
      case .serverName: .hostOrAddress
      case .insecureSkipVerify, .zeroRtt, .heartbeatEnabled: .flag
      case .heartbeatInterval: .number(1000...300_000)
      case .connectTimeout, .operationTimeout: .timeout(1...3_600_000)
      }
    }

    var defaultValue: String? {
      switch self {
      case .engine, .token, .certificateFile, .keyFile, .caFile, .serverName: nil
      case .mode: "tls"
      case .insecureSkipVerify: "false"
      case .zeroRtt, .heartbeatEnabled: "true"
      case .heartbeatInterval: "5000"
      case .connectTimeout: "15000"
      case .operationTimeout: "30000"
      }
    }
  }
}
