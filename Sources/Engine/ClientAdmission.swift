// SPDX-License-Identifier: Apache-2.0
import RstreamWire

/// A request that is answered with an error.
struct Refusal: Error {
  let error: PeerError

  init(_ code: PeerError.Code, _ message: String) { error = PeerError(code, message) }
  init(_ error: PeerError) { self.error = error }
}

/// Decides whether a connection that says who it is may go on: its protocol version and its proof.
enum ClientAdmission {
  /// The same for a connection that wants to become a control channel.
  static func judgeControl(_ details: ClientDetails?, hasCertificate: Bool, _ engine: Engine) -> Result<
    AccessGrant, Refusal
  > {
    let verdict = judge(details, hasCertificate: hasCertificate, engine)
    guard case .success = verdict, engine.clients.count >= engine.settings.maximumClients else { return verdict }
    return .failure(Refusal(.capacityExhausted, "As many clients are connected as this engine allows."))
  }

  static func judge(_ details: ClientDetails?, hasCertificate: Bool, _ engine: Engine) -> Result<AccessGrant, Refusal> {
    if engine.isDraining { return .failure(Refusal(.serviceUnavailable, "The engine is shutting down.")) }
    switch ProtocolVersion.refusal(of: details?.protocolVersion) {
    case nil:
      break
    case .protocolVersionMissing?:
      return .failure(Refusal(.protocolVersionMissing, "The client does not say which protocol version it speaks."))
    case .protocolVersionInvalid?:
      return .failure(Refusal(.protocolVersionInvalid, "The client's protocol version is no version number."))
    case let code?:
      return .failure(
        Refusal(code, "The client's protocol version does not fit this engine's, which is \(ProtocolVersion.current)."))
    }
    if details?.token != nil, hasCertificate {
      return .failure(Refusal(.unauthorized, "A token and a client certificate cannot be used together."))
    }
    do throws(AuthenticationFailure) {
      return .success(try engine.authenticator.authenticate(details?.token, now: Clock.seconds))
    } catch {
      return .failure(Refusal(.unauthorized, error.message))
    }
  }
}
