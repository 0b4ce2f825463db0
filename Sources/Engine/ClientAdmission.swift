// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire

/// A request that is answered with an error.
struct Refusal: Error {
  let error: PeerError

  init(_ code: PeerError.Code, _ message: String) { error = PeerError(code, message) }
  init(_ error: PeerError) { self.error = error }
}

/// Decides whether a connection that says who it is may go on: its protocol version and its proof.
enum ClientAdmission {
  static func judge(_ details: ClientDetails?, certificate: PeerCertificate, _ engine: Engine) throws(Refusal)
    -> AccessGrant
  {
    if engine.isDraining { throw Refusal(.serviceUnavailable, "The engine is shutting down.") }
    switch ProtocolVersion.refusal(of: details?.protocolVersion) {
    case nil:
      break
    case .protocolVersionMissing?:
      throw Refusal(.protocolVersionMissing, "The client does not say which protocol version it speaks.")
    case .protocolVersionInvalid?:
      throw Refusal(.protocolVersionInvalid, "The client's protocol version is no version number.")
    case let code?:
      throw Refusal(
        code, "The client's protocol version does not fit this engine's, which is \(ProtocolVersion.current).")
    }
    let grant: AccessGrant
    do throws(AuthenticationFailure) {
      grant = try engine.authenticator.authenticate(details?.token, certificate, now: Clock.seconds)
    } catch {
      throw Refusal(.unauthorized, error.message)
    }
    guard grant.isForThisEngine else { throw Refusal(.unauthorized, AuthenticationFailure.elsewhere) }
    return grant
  }

  /// The same for a connection that wants to become a control channel.
  static func judgeControl(_ details: ClientDetails?, certificate: PeerCertificate, _ engine: Engine) throws(Refusal)
    -> AccessGrant
  {
    let grant = try judge(details, certificate: certificate, engine)
    guard engine.clients.count < engine.settings.maximumClients else {
      throw Refusal(.capacityExhausted, "As many clients are connected as this engine allows.")
    }
    return grant
  }

  /// What is kept of the words in which a client describes itself, to be listed and logged: not its token, and nothing that
  /// is long or not printable.
  static func kept(_ details: ClientDetails?) -> ClientDetails {
    func kept(_ text: String?) -> String? {
      guard let text, text.utf8.count <= 256, text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return nil }
      return text
    }
    return ClientDetails(
      agent: kept(details?.agent), channel: kept(details?.channel), version: kept(details?.version),
      os: kept(details?.os), arch: kept(details?.arch), protocolVersion: kept(details?.protocolVersion))
  }
}
