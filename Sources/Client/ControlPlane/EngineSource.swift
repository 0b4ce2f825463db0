// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamNet

/// Where a client's engine is: known from the beginning, or told by the control plane when it is needed. What was told is
/// kept until a connection to it fails.
final class EngineSource {
  /// Nothing when the engine is known from the beginning.
  let project: ManagedProject?
  /// The environment's proxies, which depend on the engine; empty when it is known from the beginning.
  let proxyVariables: [String: String]
  fileprivate var isKnown: Bool
  fileprivate var waiting: [(Failure?) -> Void] = []

  init(_ settings: ClientSettings, environment: (String) -> String?) {
    project = settings.project
    proxyVariables = project == nil ? [:] : ProxyEnvironment.variables(environment)
    isKnown = project == nil
  }

  /// Has the control plane asked again next time.
  func forget() { isKnown = project == nil }
}

extension Client {
  /// Starts something when the engine and the own identity are known: at once, or when the control plane has told the
  /// one and a provider the other; else tells why not.
  func whenEngineIsKnown(
    _ attempt: String, _ start: @escaping () -> Void, orElse fail: @escaping (Failure) -> Void
  ) {
    guard let identityProvider else { return whenAddressIsKnown(attempt, start, orElse: fail) }
    let waiter = IdentityWaiter(self, attempt, fail) { [self] in whenAddressIsKnown(attempt, start, orElse: fail) }
    waiter.wait(for: identityProvider)
  }

  private func whenAddressIsKnown(
    _ attempt: String, _ start: @escaping () -> Void, orElse fail: @escaping (Failure) -> Void
  ) {
    guard let project = engineSource.project, !engineSource.isKnown else { return start() }
    engineSource.waiting.append { [self] failure in
      if let failure { return fail(failure.during(attempt)) }
      guard isOpen else { return fail(.clientClosed(attempt)) }
      start()
    }
    guard engineSource.waiting.count == 1 else { return }
    add(
      ProjectResolution(self, project) { [self] result in
        let waiting = engineSource.waiting
        engineSource.waiting = []
        do throws(Failure) {
          let engine = try result.get()
          Log.info("control", "project \(project.endpoint): its engine is \(engine.text)")
          try use(engine)
          engineSource.isKnown = true
          for next in waiting { next(nil) }
        } catch {
          for next in waiting { next(error) }
        }
      })
  }

  /// Has the engine and its API looked up anew next time, when it was not the engine that refused.
  func learn(from failure: Failure) {
    guard failure.code != ErrorCode.engine else { return }
    engineSource.forget()
    apiDiscovery.forget()
  }
}
