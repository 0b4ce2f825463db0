// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamConfig
import RstreamJSON
import RstreamNet

/// The program that has the private key of the client certificate: asked once for the certificate, and for a signature in
/// every handshake. One run of the program is one question (protocol version 1: JSON in, JSON out).
final class ExecProvider: IdentityProvider {
  private static let attempt = "ask the mTLS provider"
  private static let limits = (output: 262_144, errors: 4096, signature: 1024)
  /// Questions that wait for their turn, above which more are refused.
  private static let maximumWaiting = 256

  private let loop: Loop
  private let settings: ExecIdentity
  private let environment: [String]
  private var running: [ObjectIdentifier: ChildProcess] = [:]
  private var waiting: [(question: JSONValue, done: (Result<JSONValue, Failure>) -> Void)] = []
  private var isClosed = false

  private var identity: ExternalIdentity?
  private var onIdentity: [(Result<ExternalIdentity, Failure>) -> Void] = []
  /// What the program signs, by algorithm: a digest, where it does not take the message.
  private var takesDigestOnly: Set<String> = []

  init(_ loop: Loop, _ settings: ExecIdentity, environment lookup: (String) -> String?) throws(Failure) {
    self.loop = loop
    self.settings = settings
    environment =
      ["LANG=C", "LC_ALL=C"]
      + settings.passedVariables.compactMap { name in lookup(name).map { "\(name)=\($0)" } }
    try checkProgram()
  }

  /// What others may write is not what the user has chosen to trust.
  private func checkProgram() throws(Failure) {
    var status = stat()
    guard stat(settings.command, &status) == 0 else { throw .errno("look at the mTLS provider \(settings.command)") }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw Failure(ErrorCode.invalidConfig, "the mTLS provider \(settings.command) is not a file")
    }
    guard status.st_mode & (S_IWGRP | S_IWOTH) == 0 else {
      throw Failure(
        ErrorCode.invalidConfig,
        "the mTLS provider \(settings.command) can be written by others than its owner; chmod go-w it")
    }
  }

  func close() {
    isClosed = true
    let children = running.values
    running = [:]
    for child in children { child.cancel() }
    let failure = Failure.clientClosed(Self.attempt)
    let asked = waiting
    waiting = []
    for question in asked { question.done(.failure(failure)) }
    let told = onIdentity
    onIdentity = []
    for tell in told { tell(.failure(failure)) }
  }

  // MARK: The certificate

  /// The certificate, asked for once. Tells later, never before it returns, unless it is known already.
  func whenKnown(_ done: @escaping (Result<ExternalIdentity, Failure>) -> Void) {
    if let identity { return done(.success(identity)) }
    onIdentity.append(done)
    guard onIdentity.count == 1 else { return }
    let question = [
      JSONMember("version", .integer(1)), JSONMember("operation", .string("identity")),
      JSONMember("certificateSHA256", .string(digestText)),
    ]
    ask(.object(question)) { [self] answer in
      let told = onIdentity
      onIdentity = []
      let result = answer.flatMap { (json) -> Result<ExternalIdentity, Failure> in
        do throws(Failure) { return .success(try made(of: json)) } catch { return .failure(error) }
      }
      if case .success(let made) = result { identity = made }
      for tell in told { tell(result) }
    }
  }

  private func made(of json: JSONValue) throws(Failure) -> ExternalIdentity {
    guard let chain = json["certificateChain"]?.string else { throw unusable("certificateChain is missing") }
    guard case .array(let capabilities) = json["capabilities"] else { throw unusable("capabilities is no list") }
    var offered: [String] = []
    for capability in capabilities {
      guard let algorithm = capability["algorithm"]?.string, case .array(let inputs) = capability["inputs"] else {
        throw unusable("a capability has no algorithm or no inputs")
      }
      let names = inputs.compactMap(\.string)
      guard names.contains("message") || (names.contains("digest") && algorithm != "ed25519") else { continue }
      if !names.contains("message") { takesDigestOnly.insert(algorithm) }
      offered.append(algorithm)
    }
    return try ExternalIdentity(chain: chain, digest: settings.certificateDigest, offered: offered) {
      [weak self] request, done in self?.sign(request, done)
    }
  }

  private var digestText: String {
    let digits = Array("0123456789abcdef".utf8)
    return String(
      decoding: settings.certificateDigest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  // MARK: Signatures

  private func sign(_ request: ExternalIdentity.Request, _ done: @escaping ExternalIdentity.Answer) {
    let usesDigest = takesDigestOnly.contains(request.algorithm)
    let bits = ["256", "384", "512"].first { request.algorithm.hasSuffix($0) } ?? ""
    let data = usesDigest ? Digest.sha2(bits: bits, request.message) : request.message
    var question = [
      JSONMember("version", .integer(1)), JSONMember("operation", .string("sign")),
      JSONMember("certificateSHA256", .string(digestText)), JSONMember("algorithm", .string(request.algorithm)),
      JSONMember("input", .string(usesDigest ? "digest" : "message")),
      JSONMember("data", .string(Base64.encode(data))),
    ]
    if request.algorithm.hasPrefix("rsa_pss"), let bits = Int64(bits) {
      question.append(JSONMember("pssSaltLength", .integer(bits / 8)))
    }
    ask(.object(question)) { [self] answer in
      done(
        answer.flatMap { json in
          guard let text = json["signature"]?.string, let signature = Base64.decode(text) else {
            return .failure(unusable("signature is no base64"))
          }
          guard (1...Self.limits.signature).contains(signature.count) else {
            return .failure(unusable("the signature has \(signature.count) bytes"))
          }
          return .success(signature)
        })
    }
  }

  // MARK: Questions

  private func ask(_ question: JSONValue, _ done: @escaping (Result<JSONValue, Failure>) -> Void) {
    guard !isClosed else {
      return loop.later { done(.failure(.clientClosed(Self.attempt))) }
    }
    guard waiting.count < Self.maximumWaiting else {
      return loop.later {
        done(.failure(Failure(ErrorCode.tls, "\(Self.attempt): too many handshakes wait for it")))
      }
    }
    waiting.append((question, done))
    // Never from inside the call that asks.
    loop.later { [self] in runNext() }
  }

  private func runNext() {
    guard !isClosed, running.count < settings.maximumConcurrency, !waiting.isEmpty else { return }
    let (question, done) = waiting.removeFirst()
    let limits = ChildProcess.Limits(
      milliseconds: UInt64(settings.timeoutMilliseconds), standardOutput: Self.limits.output,
      standardError: Self.limits.errors)
    var started: ChildProcess?
    do throws(Failure) {
      let child = try ChildProcess(
        loop, "\(Self.attempt) \(settings.command)", command: [settings.command] + settings.arguments,
        environment: environment, input: question.encoded + [0x0A], limits: limits
      ) { [self] result in
        if let started { running[ObjectIdentifier(started)] = nil }
        done(result.flatMap { read($0) })
        runNext()
      }
      started = child
      running[ObjectIdentifier(child)] = child
    } catch {
      done(.failure(error))
      runNext()
    }
  }

  private func read(_ output: ChildProcess.Output) -> Result<JSONValue, Failure> {
    let json = try? JSONParser.parse(output.standardOutput)
    if let code = json?["error"]?.string { return .failure(refused(code)) }
    guard output.exitStatus == 0, output.signal == 0 else {
      let end = output.signal == 0 ? "with status \(output.exitStatus)" : "by signal \(output.signal)"
      return .failure(unusable("it ended \(end)"))
    }
    guard let json else { return .failure(unusable("it is no JSON")) }
    guard json["version"] == .integer(1) else { return .failure(unusable("it is not of version 1")) }
    return .success(json)
  }

  private func refused(_ code: String) -> Failure {
    let known = [
      "unsupported_version": "it does not speak version 1", "unsupported_algorithm": "it cannot sign that way",
      "identity_unavailable": "the certificate or its key is not available now",
      "identity_mismatch": "it has another certificate than certificateSHA256 says",
      "signing_denied": "it refuses to sign", "invalid_request": "it does not understand the request",
      "internal_error": "it has an error of its own",
    ]
    return Failure(
      ErrorCode.tls,
      known[code].map { "\(Self.attempt) \(settings.command): \($0) (\(code))" }
        ?? "\(Self.attempt) \(settings.command): it answered with an error that is not known")
  }

  private func unusable(_ why: String) -> Failure {
    Failure(ErrorCode.tls, "\(Self.attempt) \(settings.command): the answer cannot be used: \(why)")
  }
}
