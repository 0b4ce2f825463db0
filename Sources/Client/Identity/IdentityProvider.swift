// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamNet

/// Somebody else who has the private key of the client certificate.
protocol IdentityProvider: AnyObject {
  /// The certificate, asked for once. Tells later, never before it returns, unless it is known already.
  func whenKnown(_ done: @escaping (Result<ExternalIdentity, Failure>) -> Void)
  func close()
}

extension ClientSettings {
  /// Nothing when the key is here, or when there is none.
  func identityProvider(
    _ loop: Loop, environment: (String) -> String?
  ) throws(Failure) -> (any IdentityProvider)? {
    let certificate: ClientCertificate?
    do throws(ConfigError) { certificate = try clientCertificate() } catch { throw Failure(error) }
    switch certificate {
    case .exec(let settings): return try ExecProvider(loop, settings, environment: environment)
    case .pkcs11(let settings): return try PKCS11Provider(loop, settings, environment: environment)
    case .files, .inline, nil: return nil
    }
  }
}

/// Something that starts when the certificate is there.
final class IdentityWaiter: ClientMember {
  private let client: Client
  private let attempt: String
  private var fail: ((Failure) -> Void)?
  private let start: () -> Void

  init(_ client: Client, _ attempt: String, _ fail: @escaping (Failure) -> Void, _ start: @escaping () -> Void) {
    self.client = client
    self.attempt = attempt
    self.fail = fail
    self.start = start
  }

  func wait(for provider: any IdentityProvider) {
    if client.transport.hasCertificate { return start() }
    client.add(self)
    provider.whenKnown { [self] result in
      do throws(Failure) {
        let identity = try result.get()
        if !client.transport.hasCertificate { try client.transport.use(identity) }
        guard client.isOpen else { return finish(.clientClosed(attempt)) }
        fail = nil
        start()
        client.remove(self)
      } catch {
        finish(error.during(attempt))
      }
    }
  }

  func clientIsClosing() {
    client.loop.later { [self] in finish(.clientClosed(attempt)) }
  }

  private func finish(_ failure: Failure) {
    guard let report = fail else { return }
    fail = nil
    report(failure)
    client.remove(self)
  }
}
