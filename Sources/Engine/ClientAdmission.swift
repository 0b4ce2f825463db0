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
  static func judge(_ details: ClientDetails?, hasCertificate: Bool, _ engine: Engine) -> Result<OpenGrant, Refusal> {
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
    return .success(OpenGrant())
  }
}
