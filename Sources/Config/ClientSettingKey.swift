// SPDX-License-Identifier: Apache-2.0

/// The names of a client's settings, as rstream/config.h lists them. Those of config.yaml have the names that they have
/// there inside of a context.
enum ClientSettingKey: String, SettingKey {
  case configFile = "configFile"
  case apiURL = "apiUrl"
  case context = "context"
  case ignoreDefaultContext = "ignoreDefaultContext"
  case engine = "engine"
  case projectEndpoint = "projectEndpoint"
  case region = "region"
  case turnDomain = "turnDomain"
  case turnRealm = "turnRealm"
  case turnPort = "turnPort"
  case turnsPort = "turnsPort"
  case mtlsAPIURL = "mtlsApiUrl"
  case headers = "headers"
  case token = "auth.token"
  case noToken = "auth.noToken"
  case authenticationRequired = "auth.required"
  case certificateFile = "auth.mtls.certificateFile"
  case keyFile = "auth.mtls.keyFile"
  case certificate = "auth.mtls.certificate"
  case key = "auth.mtls.key"
  case storageKind = "auth.mtls.storage.kind"
  case storageProvider = "auth.mtls.storage.provider"
  case storageModule = "auth.mtls.storage.module"
  case storageOpenSSLProvider = "auth.mtls.storage.opensslProvider"
  case storageTokenLabel = "auth.mtls.storage.tokenLabel"
  case storageTokenSerial = "auth.mtls.storage.tokenSerial"
  case storageSlot = "auth.mtls.storage.slot"
  case storageKeyLabel = "auth.mtls.storage.keyLabel"
  case storageKeyID = "auth.mtls.storage.keyIdHex"
  case storageCertificate = "auth.mtls.storage.certificate"
  case storageCertificateFile = "auth.mtls.storage.certificateFile"
  case storageCertificateLabel = "auth.mtls.storage.certificateLabel"
  case storageCertificateID = "auth.mtls.storage.certificateIdHex"
  case storageCertificateDigest = "auth.mtls.storage.certificateSHA256"
  case storagePINVariable = "auth.mtls.storage.pinEnv"
  case storageMaximumSessions = "auth.mtls.storage.maxSessions"
  case execCommand = "auth.mtls.storage.exec.command"
  case execArguments = "auth.mtls.storage.exec.args"
  case execTimeout = "auth.mtls.storage.exec.timeout"
  case execMaximumConcurrency = "auth.mtls.storage.exec.maxConcurrency"
  case execPassedVariables = "auth.mtls.storage.exec.passEnv"
  case mode = "transport.mode"
  case congestionControl = "transport.quic.congestionControl"
  case qlogDirectory = "transport.quic.qlogDirectory"
  case keyLogFile = "transport.quic.keyLogFile"
  case bindMode = "transport.bind.mode"
  case bindInterface = "transport.bind.interface"
  case bindAddress = "transport.bind.address"
  case ipFamily = "transport.ipFamily"
  case racesAddresses = "transport.happyEyeballs"
  case dnsOverride = "transport.dns.override"
  case dnsTLS = "transport.dns.tls"
  case dnsServerName = "transport.dns.serverName"
  case dnssec = "transport.dns.dnssec"
  case mptcp = "transport.mptcp"
  case caFile = "transport.tls.caFile"
  case serverName = "transport.tls.serverName"
  case insecureSkipVerify = "transport.tls.insecureSkipVerify"
  case proxyHTTP = "transport.proxy.http"
  case proxySOCKS5 = "transport.proxy.socks5"
  case proxyUsername = "transport.proxy.username"
  case proxyPassword = "transport.proxy.password"
  case proxyHeaders = "transport.proxy.headers"
  case proxyFromEnvironment = "transport.proxy.fromEnvironment"
  case proxyCAFile = "transport.proxy.tls.caFile"
  case proxyServerName = "transport.proxy.tls.serverName"
  case proxyInsecureSkipVerify = "transport.proxy.tls.insecureSkipVerify"
  case zeroRtt = "zeroRtt"
  case heartbeatEnabled = "heartbeat.enabled"
  case heartbeatInterval = "heartbeat.intervalMs"
  case connectTimeout = "timeouts.connectMs"
  case operationTimeout = "timeouts.operationMs"

  var form: SettingForm {
    switch self {
    case .configFile, .certificateFile, .keyFile, .caFile, .proxyCAFile, .storageModule, .storageCertificateFile,
      .execCommand, .qlogDirectory, .keyLogFile:
      .path
    case .apiURL: .apiURL
    case .mtlsAPIURL: .mtlsAPIURL
    case .engine: .engineAddress
    case .region: .region
    case .context, .projectEndpoint, .turnDomain, .turnRealm, .bindInterface, .storageKind, .storageProvider,
      .storageOpenSSLProvider, .storageTokenLabel, .storageTokenSerial, .storageKeyLabel, .storageCertificateLabel,
      .storagePINVariable:
      .text
    case .storageSlot: .number(0...4_294_967_295)
    case .turnPort, .turnsPort: .number(1...65_535)
    case .headers: .headers
    case .proxyHeaders: .proxyHeaders
    case .token: .token
    case .certificate, .key, .storageCertificate, .proxyHTTP, .proxySOCKS5, .proxyUsername, .proxyPassword: .secret
    case .storageKeyID, .storageCertificateID, .storageCertificateDigest: .hexadecimal
    case .storageMaximumSessions: .number(0...1_000_000)
    case .execArguments, .execPassedVariables: .list
    case .execTimeout: .duration
    case .execMaximumConcurrency: .number(0...32)
    case .mode: .transportMode
    case .congestionControl: .choice(["cubic", "bbr"])
    case .bindMode: .choice(["address", "interface"])
    case .bindAddress: .address
    case .ipFamily: .choice(["ipv4", "ipv6"])
    case .dnsOverride: .resolverAddress
    case .serverName, .dnsServerName, .proxyServerName: .hostOrAddress
    case .ignoreDefaultContext, .noToken, .authenticationRequired, .dnsTLS, .dnssec, .mptcp, .insecureSkipVerify,
      .racesAddresses, .proxyFromEnvironment, .proxyInsecureSkipVerify, .zeroRtt, .heartbeatEnabled:
      .flag
    case .heartbeatInterval: .number(1000...300_000)
    case .connectTimeout, .operationTimeout: .timeout(1...3_600_000)
    }
  }

  var defaultValue: String? {
    switch self {
    case .apiURL: "https://rstream.io"
    case .turnPort: "3478"
    case .turnsPort: "5349"
    case .mode: "tls"
    case .congestionControl: "cubic"
    case .execTimeout: "5s"
    case .execMaximumConcurrency: "1"
    case .zeroRtt, .heartbeatEnabled, .racesAddresses: "true"
    case .heartbeatInterval: "5000"
    case .connectTimeout: "15000"
    case .operationTimeout: "30000"
    default:
      if case .flag = form { "false" } else { nil }
    }
  }

  /// Whether the setting is part of a client certificate, of which there is one as a whole.
  var isCertificate: Bool { rawValue.hasPrefix("auth.mtls.") }

  /// The settings whose names begin like that.
  static func all(in section: String) -> [ClientSettingKey] {
    allCases.filter { $0.rawValue.hasPrefix("\(section).") }
  }
}
