// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamJSON
import RstreamNet

/// What a control plane tells about a project, as far as it leads to an engine.
struct ProjectDescription {
  private let json: JSONValue
  private let attempt: String

  init(_ bytes: [UInt8], _ attempt: String) throws(Failure) {
    self.attempt = attempt
    do { json = try JSONParser.parse(bytes) } catch {
      throw Self.unusable(attempt, error.message)
    }
    guard case .object = json else { throw Self.unusable(attempt, "it is no object") }
  }

  /// The engine's address in a region, or where the project is at home.
  func engine(in region: String?) throws(Failure) -> EngineAddress {
    guard let region else { return try homeEngine() }
    guard let endpoint = try text("endpoint", of: json) else { throw missing("endpoint") }
    var matching: [JSONValue] = []
    var names: Set<String> = []
    for candidate in try regionalEndpoints() {
      guard let name = try name(of: candidate) else { continue }
      names.insert(name)
      if name == region { matching.append(candidate) }
    }
    guard let found = matching.first else {
      let advice =
        names.isEmpty ? "it has no regions to choose from" : "it has \(names.sorted().joined(separator: ", "))"
      throw Failure(
        ErrorCode.regionUnavailable, "\(attempt): the project is not available in the region \(region); \(advice)")
    }
    guard matching.count == 1 else {
      throw Failure(
        ErrorCode.regionAmbiguous, "\(attempt): the project has \(matching.count) endpoints in the region \(region)")
    }
    guard let domain = try text("domain", of: found) else { throw missing("regionalEndpoints.domain") }
    return try address("\(endpoint).\(domain)", port: try port(of: found))
  }

  private func homeEngine() throws(Failure) -> EngineAddress {
    if let endpoint = try text("endpoint", of: json), let domain = try text("domain", of: json) {
      return try address("\(endpoint).\(domain)", port: try port(of: json))
    }
    guard let url = try text("url", of: json) else {
      throw missing(try text("endpoint", of: json) == nil ? "endpoint" : "domain")
    }
    return try address(url, port: nil)
  }

  private func address(_ host: String, port: UInt16?) throws(Failure) -> EngineAddress {
    do { return try EngineAddress(port.map { "\(host):\($0)" } ?? host) } catch {
      throw Failure(ErrorCode.engineResolution, "\(attempt): the control plane's answer: \(error.message)")
    }
  }

  private func regionalEndpoints() throws(Failure) -> [JSONValue] {
    switch json["regionalEndpoints"] {
    case nil, .null: return []
    case .array(let endpoints): return endpoints
    default: throw Self.unusable(attempt, "regionalEndpoints is no list")
    }
  }

  private func name(of endpoint: JSONValue) throws(Failure) -> String? {
    guard let name = try text("region", of: endpoint) else { return nil }
    return trimmed(name).lowercased()
  }

  /// Text that is there and not blank.
  private func text(_ name: String, of object: JSONValue) throws(Failure) -> String? {
    switch object[name] {
    case nil, .null: return nil
    case .string(let text): return trimmed(text).isEmpty ? nil : trimmed(text)
    default: throw Self.unusable(attempt, "\(name) is no text")
    }
  }

  /// Nothing when there is none, which means the one that is usual.
  private func port(of object: JSONValue) throws(Failure) -> UInt16? {
    switch object["enginePort"] {
    case nil, .null: return nil
    case .integer(let number):
      guard let port = UInt16(exactly: number), port > 0 else { throw Self.unusable(attempt, "enginePort is no port") }
      return port
    default: throw Self.unusable(attempt, "enginePort is no port")
    }
  }

  private func missing(_ name: String) -> Failure { Self.unusable(attempt, "\(name) is missing") }

  private static func unusable(_ attempt: String, _ why: String) -> Failure {
    Failure(
      ErrorCode.apiInvalidResponse,
      "\(attempt): the answer cannot be used: \(why); is this the address of a control plane?")
  }
}
