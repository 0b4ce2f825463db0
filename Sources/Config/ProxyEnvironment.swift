// SPDX-License-Identifier: Apache-2.0

/// The proxy that the process environment names for an engine.
public enum ProxyEnvironment {
  /// Upper case goes first. An engine is reached by TLS: HTTPS_PROXY is looked at before HTTP_PROXY, and ALL_PROXY last.
  private static let variables = [
    "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy",
  ]

  /// The variables as they are now, for an engine that is not known yet.
  public static func variables(_ lookup: (String) -> String?) -> [String: String] {
    var found: [String: String] = [:]
    for name in variables + ["NO_PROXY", "no_proxy"] { found[name] = lookup(name) }
    return found
  }

  /// The proxy for an engine; nothing when none is named or NO_PROXY excepts the engine. Loopback is never proxied.
  public static func proxy(for engine: EngineAddress, _ lookup: (String) -> String?) throws(ConfigError) -> ProxyURL? {
    func value(_ name: String) -> String? { lookup(name)?.trimmed().nonEmpty }
    let exceptions = ProxyExceptions(value("NO_PROXY") ?? value("no_proxy") ?? "")
    if exceptions.contains(engine) { return nil }
    for name in variables {
      guard let text = value(name) else { continue }
      do { return try ProxyURL.environment(text) } catch { throw error.at(name) }
    }
    return nil
  }
}

/// The hosts that are reached without proxy: NO_PROXY.
struct ProxyExceptions {
  private enum Entry {
    case everything
    case addresses(IPRange, port: UInt16?)
    /// With `includesItself` the domain itself, else only what is below it.
    case domain(String, includesItself: Bool, port: UInt16?)
  }

  private let entries: [Entry]

  /// A list separated by commas. Entries that are none of "*", an address, a CIDR range, host[:port], .domain and
  /// *.domain match nothing.
  init(_ list: String) {
    entries = list.listElements().compactMap { Self.entry(HostName.lowercased($0)) }
  }

  private static func entry(_ text: String) -> Entry? {
    if text == "*" { return .everything }
    if let range = IPRange(text) { return .addresses(range, port: nil) }
    guard let parts = HostAndPort(text) else { return nil }
    var port: UInt16?
    if let given = parts.port {
      guard let number = portNumber(given) else { return nil }
      port = number
    }
    if let range = IPRange(parts.host) { return .addresses(range, port: port) }
    var name = parts.host
    if name.hasPrefix("*.") { name.removeFirst() }
    let belowOnly = name.hasPrefix(".")
    if belowOnly { name.removeFirst() }
    guard HostName.normalized(name) != nil else { return nil }
    return .domain(name, includesItself: !belowOnly, port: port)
  }

  func contains(_ engine: EngineAddress) -> Bool {
    let address = IPLiteral(engine.host)
    if engine.host == "localhost" || Self.loopback.contains(where: { $0?.contains(text: engine.host) == true }) {
      return true
    }
    return entries.contains { entry in
      switch entry {
      case .everything: true
      case .addresses(let range, let port):
        address != nil && range.contains(text: engine.host) && (port ?? engine.port) == engine.port
      case .domain(let name, let includesItself, let port):
        (port ?? engine.port) == engine.port
          && (engine.host.hasSuffix(".\(name)") || includesItself && engine.host == name)
      }
    }
  }

  private static let loopback = [IPRange("127.0.0.0/8"), IPRange("::1")]
}

extension String {
  fileprivate var nonEmpty: String? { isEmpty ? nil : self }
}
