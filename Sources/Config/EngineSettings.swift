// SPDX-License-Identifier: Apache-2.0

/// The settings of an embedded engine; names and defaults are those of rstream/engine.h.
public struct EngineSettings: Sendable {
  var table = SettingTable<Key>()

  public init() {}

  public static var names: [String] { Key.allCases.map(\.rawValue) }

  /// Sets one setting by name; nothing as value brings the default back.
  public mutating func set(_ name: String, _ value: String?) throws(ConfigError) {
    try table.set(name, value)
  }

  /// The value of a setting, its default when it was not set; nothing when it has none or the name is unknown.
  public func get(_ name: String) -> String? {
    Key(rawValue: name).flatMap(table.text)
  }

  /// Applies overrides from the environment: RSTREAM_ENGINE_TLS__LISTEN_ADDR sets tls.listen_addr. Values are trimmed,
  /// blank ones count as absent.
  public mutating func loadEnvironment(_ lookup: (String) -> String?) throws(ConfigError) {
    for key in Key.allCases {
      let variable = EngineSettings.variable(for: key.rawValue)
      guard let value = lookup(variable)?.trimmed(), !value.isEmpty else { continue }
      do { try table.set(key, value) } catch { throw error.at(variable) }
    }
  }

  /// The environment variable that overrides a setting.
  public static func variable(for name: String) -> String {
    let upper = name.utf8.flatMap { byte -> [UInt8] in
      switch byte {
      case UInt8(ascii: "."): [0x5F, 0x5F]
      case UInt8(ascii: "a")...UInt8(ascii: "z"): [byte - 0x20]
      default: [byte]
      }
    }
    return "RSTREAM_ENGINE_" + String(decoding: upper, as: UTF8.self)
  }

  /// Refuses settings that cannot work together, and an engine that nobody could use.
  public func validate() throws(ConfigError) {
    func refusal(_ message: String) -> ConfigError { ConfigError(.invalidConfig, message) }
    guard tlsEnabled else {
      throw refusal("tls.enabled is false: the TLS listener is where clients and consumers connect; set it to true")
    }
    guard (table.given(.certificateFile) == nil) == (table.given(.keyFile) == nil) else {
      throw refusal("certs.static.cert_file and certs.static.key_file belong together, only one of them is set")
    }
    if certificate == nil {
      throw refusal(
        developmentEnabled
          ? "dev.enabled needs dev.state_dir, the directory where the development CA is kept"
          : "no certificate: set certs.static.cert_file and certs.static.key_file, or dev.enabled for development")
    }
    if jwtEnabled, table.given(.jwtSecret) == nil {
      throw refusal("auth.jwt.enabled needs auth.jwt.token_jwt_secret, best at least 32 bytes")
    }
    if metricsEnabled, metricsToken == nil, !(metricsListen?.isLoopback ?? false) {
      throw refusal(
        "metrics.prometheus.listen_addr is reachable from other machines: set metrics.prometheus.bearer_token, "
          + "or listen on 127.0.0.1")
    }
    guard acceptsAnonymous || !tokens.isEmpty || jwtEnabled || clientCAFile != nil else {
      throw refusal(
        "nobody could log in: set auth.tokens, or auth.jwt.enabled with auth.jwt.token_jwt_secret, or auth.mtls.ca_file, "
          + "or auth.open to accept clients without a token")
    }
    guard mtlsAPIHost.prefix(while: { $0 != "." }) == projectEndpoint else {
      throw refusal(
        "auth.mtls.api_host has to begin with \(projectEndpoint) as engine.host does: clients look for it there")
    }
  }
}

// MARK: - Typed values

extension EngineSettings {
  /// Where the engine's certificate comes from.
  public enum Certificate: Equatable, Sendable {
    case files(certificate: String, key: String)
    /// Made by the development CA that lives in this directory.
    case development(stateDirectory: String)
  }

  /// Files win over the development CA when both are configured.
  public var certificate: Certificate? {
    if table.flag(.staticEnabled), let file = table.text(.certificateFile), let key = table.text(.keyFile) {
      return .files(certificate: file, key: key)
    }
    guard developmentEnabled, let directory = table.text(.stateDirectory) else { return nil }
    return .development(stateDirectory: directory)
  }

  /// In lower case.
  public var host: String { table.text(.host).flatMap(HostName.normalized) ?? "localhost" }
  /// The project's name among those of its domain: the first label of the host.
  public var projectEndpoint: String { String(host.prefix { $0 != "." }) }
  public var projectID: String? { table.text(.projectID) }
  public var workspaceID: String? { table.text(.workspaceID) }
  public var logLevel: String { table.text(.logLevel) ?? "info" }
  public var tlsEnabled: Bool { table.flag(.tlsEnabled) }
  public var tlsListen: ListenAddress? { table.text(.tlsListen).flatMap(ListenAddress.init) }
  public var quicEnabled: Bool { table.flag(.quicEnabled) }
  /// Nothing means the address and port of the TLS listener.
  public var quicListen: ListenAddress? { table.text(.quicListen).flatMap(ListenAddress.init) }
  public var quicRetry: String { table.text(.quicRetry) ?? "auto" }
  public var quicCongestionControl: String { table.text(.quicCongestionControl) ?? "cubic" }
  public var quicQLogDirectory: String? { table.text(.quicQLogDirectory) }
  public var quicKeyLogFile: String? { table.text(.quicKeyLogFile) }
  public var httpEnabled: Bool { table.flag(.httpEnabled) }
  public var httpListen: ListenAddress? { table.text(.httpListen).flatMap(ListenAddress.init) }
  public var developmentEnabled: Bool { table.flag(.developmentEnabled) }

  /// Whether clients without a token are accepted. Development mode does, unless auth.open says "false" itself.
  public var acceptsAnonymous: Bool {
    table.given(.open) == nil ? developmentEnabled : table.flag(.open)
  }
  public var tokens: [String] { table.text(.tokens)?.listElements() ?? [] }
  public var jwtEnabled: Bool { table.flag(.jwtEnabled) }
  /// Nothing unless JWTs are enabled.
  public var jwtSecret: String? { jwtEnabled ? table.text(.jwtSecret) : nil }

  /// Whether the secret is shorter than HS256 asks for (RFC 7518, section 3.2).
  public var hasShortSecret: Bool { jwtSecret.map { $0.utf8.count < 32 } ?? false }

  /// Authorities of client certificates; nothing when there are none.
  public var clientCAFile: String? { table.text(.clientCAFile) }
  /// The host of the API that asks for client certificates, in lower case.
  public var mtlsAPIHost: String { table.text(.mtlsAPIHost).flatMap(HostName.normalized) ?? host }

  public var metricsEnabled: Bool { table.flag(.metricsEnabled) }
  public var metricsListen: ListenAddress? { table.text(.metricsListen).flatMap(ListenAddress.init) }
  /// With a slash in front.
  public var metricsPath: String {
    let path = table.text(.metricsPath) ?? "/metrics"
    return path.hasPrefix("/") ? path : "/\(path)"
  }
  public var metricsToken: String? { table.text(.metricsToken) }

  public var dtlsEnabled: Bool { table.flag(.dtlsEnabled) }
  public var dtlsListen: ListenAddress? { table.text(.dtlsListen).flatMap(ListenAddress.init) }

  /// Nothing when published TCP tunnels are not available.
  public var tcpPortRange: PortRange? { table.text(.tcpPortRange).flatMap(PortRange.init) }
  /// Nothing means the host of the TLS listener.
  public var tcpListenHost: String? { table.text(.tcpListenHost) }

  public var streamRequestSeconds: Int { table.number(.streamRequestSeconds) }
  public var httpIdleSeconds: Int { table.number(.httpIdleSeconds) }
  public var dtlsIdleSeconds: Int { table.number(.dtlsIdleSeconds) }
  public var handshakeSeconds: Int { table.number(.handshakeSeconds) }
  public var drainSeconds: Int { table.number(.drainSeconds) }
  public var maximumClients: Int { table.number(.clients) }
  public var maximumTunnelsPerClient: Int { table.number(.tunnelsPerClient) }
  public var maximumConnections: Int { table.number(.connections) }
}

// MARK: - The table

extension EngineSettings {
  enum Key: String, SettingKey {
    case host = "engine.host"
    case logLevel = "engine.log_level"
    case projectID = "engine.project_id"
    case workspaceID = "engine.workspace_id"
    case tlsEnabled = "tls.enabled"
    case tlsListen = "tls.listen_addr"
    case quicEnabled = "quic.enabled"
    case quicListen = "quic.listen_addr"
    case quicRetry = "quic.retry"
    case quicCongestionControl = "quic.congestion_control"
    case quicQLogDirectory = "quic.qlog_dir"
    case quicKeyLogFile = "quic.key_log_file"
    case httpEnabled = "http.enabled"
    case httpListen = "http.listen_addr"
    case staticEnabled = "certs.static.enabled"
    case certificateFile = "certs.static.cert_file"
    case keyFile = "certs.static.key_file"
    case developmentEnabled = "dev.enabled"
    case stateDirectory = "dev.state_dir"
    case open = "auth.open"
    case tokens = "auth.tokens"
    case jwtEnabled = "auth.jwt.enabled"
    case jwtSecret = "auth.jwt.token_jwt_secret"
    case clientCAFile = "auth.mtls.ca_file"
    case mtlsAPIHost = "auth.mtls.api_host"
    case metricsEnabled = "metrics.prometheus.enabled"
    case metricsListen = "metrics.prometheus.listen_addr"
    case metricsPath = "metrics.prometheus.path"
    case metricsToken = "metrics.prometheus.bearer_token"
    case dtlsEnabled = "dtls.enabled"
    case dtlsListen = "dtls.listen_addr"
    case tcpPortRange = "tcp.port_range"
    case tcpListenHost = "tcp.listen_host"
    case streamRequestSeconds = "timeouts.stream_request_seconds"
    case httpIdleSeconds = "timeouts.http_idle_seconds"
    case dtlsIdleSeconds = "timeouts.dtls_idle_seconds"
    case handshakeSeconds = "timeouts.handshake_seconds"
    case drainSeconds = "timeouts.drain_seconds"
    case clients = "limits.clients"
    case tunnelsPerClient = "limits.tunnels_per_client"
    case connections = "limits.connections"

    var form: SettingForm {
      switch self {
      case .host, .mtlsAPIHost: .hostName
      case .logLevel: .choice(["off", "error", "warn", "info", "debug"])
      case .tlsEnabled, .quicEnabled, .httpEnabled, .staticEnabled, .developmentEnabled, .open, .jwtEnabled,
        .metricsEnabled, .dtlsEnabled:
        .flag
      case .tlsListen, .dtlsListen, .quicListen, .httpListen, .metricsListen: .listenAddress
      case .quicRetry: .choice(["auto", "always", "never"])
      case .quicCongestionControl: .choice(["cubic", "bbr"])
      case .quicQLogDirectory, .quicKeyLogFile: .path
      case .metricsPath: .path
      case .metricsToken: .token
      case .certificateFile, .keyFile, .clientCAFile, .stateDirectory: .path
      case .projectID, .workspaceID: .text
      case .tokens: .tokenList
      case .jwtSecret: .secret
      case .tcpPortRange: .portRange
      case .tcpListenHost: .hostOrAddress
      case .streamRequestSeconds, .handshakeSeconds: .number(1...3600)
      case .httpIdleSeconds, .dtlsIdleSeconds: .number(1...86_400)
      case .drainSeconds: .number(0...86_400)
      case .clients, .tunnelsPerClient, .connections: .number(1...10_000_000)
      }
    }

    var defaultValue: String? {
      switch self {
      case .host: "localhost"
      case .logLevel: "info"
      case .tlsEnabled, .quicEnabled, .staticEnabled: "true"
      case .quicRetry: "auto"
      case .quicCongestionControl: "cubic"
      case .httpEnabled, .developmentEnabled, .open, .jwtEnabled, .metricsEnabled, .dtlsEnabled: "false"
      case .metricsListen: "127.0.0.1:9090"
      case .metricsPath: "/metrics"
      case .tlsListen: ":443"
      case .dtlsListen: ":4433"
      case .httpListen: ":80"
      case .quicListen, .quicQLogDirectory, .quicKeyLogFile, .projectID, .workspaceID, .clientCAFile, .mtlsAPIHost,
        .certificateFile, .keyFile, .stateDirectory, .tokens,
        .jwtSecret, .metricsToken,
        .tcpPortRange, .tcpListenHost:
        nil
      case .streamRequestSeconds: "30"
      case .httpIdleSeconds: "90"
      case .dtlsIdleSeconds: "300"
      case .handshakeSeconds, .drainSeconds: "10"
      case .clients: "10000"
      case .tunnelsPerClient: "1000"
      case .connections: "50000"
      }
    }
  }
}
