// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamConfig
import RstreamNet

/// The cryptographic token that has the private key of the client certificate, asked through its PKCS#11 module. Tokens
/// take their time: they are asked on libuv's thread pool.
final class PKCS11Provider: IdentityProvider {
  private static let attempt = "ask the PKCS#11 token"
  /// Milliseconds for finding token, key and certificate.
  private static let timeout: UInt64 = 30_000
  /// Signatures that wait for a session, above which more are refused.
  private static let maximumWaiting = 256
  /// As many as libuv's pool has threads, unless told otherwise: more would only wait for each other.
  private static let usualSessions = 4
  private static let algorithms = [
    "rsa_pss_rsae_sha256", "rsa_pss_rsae_sha384", "rsa_pss_rsae_sha512", "ecdsa_secp256r1_sha256",
    "ecdsa_secp384r1_sha384", "ecdsa_secp521r1_sha512", "ed25519",
  ]

  /// What the thread pool works with; it does not change.
  private struct Access {
    let selection: PKCS11Selection
    let certificate: PKCS11Identity.Certificate
    let pin: [UInt8]
  }

  private struct Opened {
    let token: PKCS11Token
    let session: PKCS11Session
    let chain: String
  }

  private struct Job {
    let request: ExternalIdentity.Request
    let done: ExternalIdentity.Answer
  }

  private let loop: Loop
  private let access: Access
  private let maximumSessions: Int
  private var token: PKCS11Token?
  private var idle: [PKCS11Session] = []
  private var busy = 0
  private var waiting: [Job] = []
  private var isClosed = false

  private var identity: ExternalIdentity?
  private var onIdentity: [(Result<ExternalIdentity, Failure>) -> Void] = []
  private var deadline: LoopTimer?
  private var isSeeking = false
  /// Set when the PIN was refused: more of it would lock the token.
  private var refusal: Failure?

  init(_ loop: Loop, _ settings: PKCS11Identity, environment lookup: (String) -> String?) throws(Failure) {
    guard let pin = lookup(settings.pinVariable), !pin.isEmpty else {
      throw Failure(
        ErrorCode.invalidConfig,
        "auth.mtls.storage.pinEnv: the environment variable \(settings.pinVariable), which is to hold the PIN, is not set"
      )
    }
    self.loop = loop
    access = Access(
      selection: PKCS11Selection(settings), certificate: settings.certificate, pin: Array(pin.utf8))
    maximumSessions = settings.maximumSessions > 0 ? settings.maximumSessions : Self.usualSessions
  }

  func close() {
    isClosed = true
    let failure = Failure.clientClosed(Self.attempt)
    let asked = waiting
    waiting = []
    for job in asked { job.done(.failure(failure)) }
    tell(.failure(failure))
    retire(idle)
    idle = []
  }

  private func retire(_ sessions: [PKCS11Session]) {
    guard !sessions.isEmpty else { return }
    PoolWork.run(loop, { for session in sessions { session.close() } }, {})
  }

  // MARK: The certificate

  func whenKnown(_ done: @escaping (Result<ExternalIdentity, Failure>) -> Void) {
    if let identity { return done(.success(identity)) }
    onIdentity.append(done)
    guard onIdentity.count == 1 else { return }
    if let refusal { return loop.later { [self] in tell(.failure(refusal)) } }
    deadline = LoopTimer(loop, after: Self.timeout) { [self] in
      tell(.failure(Failure(ErrorCode.operationTimeout, "\(Self.attempt): no answer after \(Self.timeout) ms")))
    }
    // The one that is late may still come: then it is for those who have asked since.
    guard !isSeeking else { return }
    isSeeking = true
    PoolWork.run(loop, { [access] in Self.open(access) }, { [self] in opened($0) })
  }

  private static func open(_ access: Access) -> Result<Opened, any Error> {
    do {
      let token = try PKCS11Token(access.selection)
      let session = try PKCS11Session(token, pin: access.pin, key: access.selection.key)
      do {
        return .success(Opened(token: token, session: session, chain: try chain(access.certificate, session)))
      } catch {
        session.close()
        throw error
      }
    } catch {
      return .failure(error)
    }
  }

  private static func chain(_ certificate: PKCS11Identity.Certificate, _ session: PKCS11Session) throws -> String {
    switch certificate {
    case .text(let text): return text
    case .file(let path): return String(decoding: try SmallFile.read(path, limit: 1_048_576), as: UTF8.self)
    case .onToken(let object):
      let text = Base64.encode(try session.certificate(PKCS11Selection.Object(object)))
      return "-----BEGIN CERTIFICATE-----\n\(Base64.lines(text))-----END CERTIFICATE-----\n"
    }
  }

  private func opened(_ result: Result<Opened, any Error>) {
    isSeeking = false
    do {
      let opened = try result.get()
      guard !isClosed else { return retire([opened.session]) }
      token = opened.token
      idle.append(opened.session)
      let made = try ExternalIdentity(chain: opened.chain, digest: nil, offered: Self.algorithms) {
        [weak self] request, done in self?.sign(request, done)
      }
      identity = made
      tell(.success(made))
    } catch {
      retire(idle)
      idle = []
      tell(.failure(judged(error).during(Self.attempt)))
    }
  }

  private func tell(_ result: Result<ExternalIdentity, Failure>) {
    deadline?.close()
    deadline = nil
    let told = onIdentity
    onIdentity = []
    for tell in told { tell(result) }
  }

  private func judged(_ error: any Error) -> Failure {
    if let refused = error as? PKCS11Session.RefusedPIN {
      let failure = Failure(
        refused.failure.code, "\(refused.failure.message); it is not tried again, that would lock the token")
      refusal = failure
      return failure
    }
    return error as? Failure ?? Failure(ErrorCode.tls, "the token cannot be used")
  }

  // MARK: Signatures

  private func sign(_ request: ExternalIdentity.Request, _ done: @escaping ExternalIdentity.Answer) {
    guard !isClosed, waiting.count < Self.maximumWaiting else {
      let why = isClosed ? "the client is closed" : "too many handshakes wait for it"
      return loop.later { done(.failure(Failure(ErrorCode.tls, "\(Self.attempt): \(why)"))) }
    }
    waiting.append(Job(request: request, done: done))
    // Never from inside the call that asks.
    loop.later { [self] in runNext() }
  }

  private func runNext() {
    guard !isClosed, busy < maximumSessions, !waiting.isEmpty, let token else { return }
    let job = waiting.removeFirst()
    if let refusal { return job.done(.failure(refusal)) }
    let session = idle.popLast()
    busy += 1
    PoolWork.run(
      loop, { [access] in Self.sign(job.request, session, token, access) },
      { [self] outcome in
        busy -= 1
        if let session = outcome.session {
          if isClosed { retire([session]) } else { idle.append(session) }
        }
        job.done(outcome.signature.mapError { judged($0).during(Self.attempt) })
        runNext()
      })
  }

  /// A session may have ended without our doing, with the token or with a log-out: then another one is tried.
  private static func sign(
    _ request: ExternalIdentity.Request, _ session: PKCS11Session?, _ token: PKCS11Token, _ access: Access
  ) -> (session: PKCS11Session?, signature: Result<[UInt8], any Error>) {
    if let session {
      do {
        return (session, .success(try session.sign(request.message, request.algorithm)))
      } catch {
        session.close()
        if error is PKCS11Session.RefusedPIN { return (nil, .failure(error)) }
      }
    }
    do {
      let session = try PKCS11Session(token, pin: access.pin, key: access.selection.key)
      do {
        return (session, .success(try session.sign(request.message, request.algorithm)))
      } catch {
        session.close()
        throw error
      }
    } catch {
      return (nil, .failure(error))
    }
  }
}

extension PKCS11Selection {
  fileprivate init(_ settings: PKCS11Identity) {
    let token: Token =
      switch settings.token {
      case .label(let label): .label(label)
      case .serial(let serial): .serial(serial)
      case .slot(let slot): .slot(slot)
      }
    self.init(module: settings.module, token: token, key: Object(settings.key))
  }
}

extension PKCS11Selection.Object {
  fileprivate init(_ object: PKCS11Identity.Object) {
    switch object {
    case .label(let label): self = .label(label)
    case .id(let id): self = .id(id)
    }
  }
}
