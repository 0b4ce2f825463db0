// SPDX-License-Identifier: Apache-2.0
import CUV
import RstreamConfig
import RstreamNet

/// Where requests to an engine's API go.
enum APITarget: Equatable {
  /// The engine itself.
  case engine
  /// The host that asks for client certificates.
  case mtls(EngineAddress)
}

/// What the engine has told of its API for clients with a certificate. It is asked once, however many wait for it; what it
/// has told is kept for as long as it said, unless a connection there fails.
final class APIDiscovery {
  private struct Known {
    let engine: EngineAddress
    let api: EngineAddress
    /// On libuv's clock, in nanoseconds.
    let end: UInt64
  }

  private var known: Known?
  fileprivate var waiting: [(Result<EngineAddress, Failure>) -> Void] = []

  /// What was told by this engine and still holds.
  func api(of engine: EngineAddress) -> EngineAddress? {
    guard let known, known.engine == engine, known.end > uv_hrtime() else { return nil }
    return known.api
  }

  /// - Parameter seconds: for how long
  func keep(_ api: EngineAddress, of engine: EngineAddress, for seconds: UInt64) {
    known = Known(engine: engine, api: api, end: uv_hrtime() + seconds * 1_000_000_000)
  }

  /// Has the engine asked again next time.
  func forget() { known = nil }
}

extension Client {
  /// Starts something when it is known where requests to the API go; else tells why not.
  func whenAPIIsKnown(
    _ attempt: String, _ start: @escaping (APITarget) -> Void, orElse fail: @escaping (Failure) -> Void
  ) {
    whenEngineIsKnown(attempt) { [self] in
      guard transport.hasCertificate, let engine = settings.engine else { return start(.engine) }
      if let api = settings.mtlsAPI ?? apiDiscovery.api(of: engine) { return start(.mtls(api)) }
      apiDiscovery.waiting.append { [self] result in
        switch result {
        case .failure(let failure): fail(failure.during(attempt))
        case .success where !isOpen: fail(.clientClosed(attempt))
        case .success(let api): start(.mtls(api))
        }
      }
      if apiDiscovery.waiting.count == 1 { discover(engine) }
    } orElse: {
      fail($0)
    }
  }

  private func discover(_ engine: EngineAddress) {
    add(
      DiscoveryRequest(self, engine) { [self] result in
        let waiting = apiDiscovery.waiting
        apiDiscovery.waiting = []
        if case .success(let (document, seconds)) = result {
          Log.debug("api", "the API for clients with a certificate is \(document.api.text)")
          apiDiscovery.keep(document.api, of: engine, for: seconds)
        }
        for next in waiting { next(result.map(\.document.api)) }
      })
  }
}
