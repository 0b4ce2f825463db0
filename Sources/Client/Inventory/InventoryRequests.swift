// SPDX-License-Identifier: Apache-2.0
import RstreamJSON
import RstreamNet

/// What an engine can be asked about itself.
public enum EngineCheck: String, Sendable {
  case live
  case ready
  case auth

  fileprivate var path: String {
    switch self {
    case .live: "/health/live"
    case .ready: "/health/ready"
    case .auth: "/auth"
    }
  }

  fileprivate var attempt: String {
    switch self {
    case .live: "ask whether the engine runs"
    case .ready: "ask whether the engine is ready"
    case .auth: "have the credentials checked"
    }
  }
}

extension Client {
  public typealias InventoryCompletion = (Result<Inventory, Failure>) -> Void

  /// Lists tunnels or clients.
  /// - Parameter limit: no more than so many; nothing means all
  public func list(
    _ filters: InventoryFilters, limit: Int? = nil, _ done: @escaping InventoryCompletion
  ) throws(Failure) {
    let attempt = filters.resource.attempt
    try checkOpen(attempt)
    var params: [JSONMember] = []
    if let limit { params.append(JSONMember("limit", .integer(Int64(limit)))) }
    if !filters.isEmpty { params.append(JSONMember("filters", filters.json)) }
    let path = filters.resource.path + Self.query(params)
    ask(attempt, path) {
      done(
        Self.read($0) { bytes throws(Failure) in
          try Inventory(list: bytes, of: filters.resource, attempt)
        })
    }
  }

  /// Asks for one live tunnel.
  public func getTunnel(_ id: String, _ done: @escaping InventoryCompletion) throws(Failure) {
    let id = trimmed(id)
    guard !id.isEmpty else { throw Failure(ErrorCode.invalidTunnel, "get a tunnel: the tunnel's id is blank") }
    let attempt = "get tunnel \(id)"
    try checkOpen(attempt)
    ask(attempt, "/tunnels/\(percentEncoded(id.utf8))") {
      done(
        Self.read($0) { bytes throws(Failure) in
          try Inventory(tunnel: bytes, attempt)
        })
    }
  }

  /// Asks the engine how it is; nothing as failure means well.
  public func check(_ what: EngineCheck, _ done: @escaping (Failure?) -> Void) throws(Failure) {
    try checkOpen(what.attempt)
    ask(what.attempt, what.path) { result in
      if case .failure(let failure) = result { done(failure) } else { done(nil) }
    }
  }

  private func ask(_ attempt: String, _ path: String, _ done: @escaping APIRequest.Completion) {
    whenAPIIsKnown(attempt) { [self] target in
      add(APIRequest(self, attempt, path, to: target, done))
    } orElse: {
      done(.failure($0))
    }
  }

  /// The query that carries parameters; none at all when there are none.
  static func query(_ params: [JSONMember]) -> String {
    params.isEmpty ? "" : "?params=\(percentEncoded(JSONValue.object(params).encoded))"
  }

  private static func read(
    _ result: Result<[UInt8], Failure>, _ parse: ([UInt8]) throws(Failure) -> Inventory
  ) -> Result<Inventory, Failure> {
    switch result {
    case .failure(let failure): return .failure(failure)
    case .success(let bytes):
      do { return .success(try parse(bytes)) } catch { return .failure(error) }
    }
  }
}
