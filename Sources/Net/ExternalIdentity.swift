// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import Glibc

/// A client certificate whose private key lives elsewhere: somebody is asked for every signature, and the handshake waits
/// for the answer while everything else on the loop goes on.
public final class ExternalIdentity {
  public struct Request {
    /// By TLS's name: "ecdsa_secp256r1_sha256".
    public let algorithm: String
    public let message: [UInt8]
  }
  public typealias Answer = (Result<[UInt8], Failure>) -> Void
  /// Asks for a signature; the answer never comes before the call returns.
  public typealias Signer = (Request, @escaping Answer) -> Void

  /// What can be signed with, by kind of key, in the order of preference.
  private static let algorithms = [
    "RSA": ["rsa_pss_rsae_sha256", "rsa_pss_rsae_sha384", "rsa_pss_rsae_sha512"],
    "P-256": ["ecdsa_secp256r1_sha256"], "P-384": ["ecdsa_secp384r1_sha384"], "P-521": ["ecdsa_secp521r1_sha512"],
    "ED25519": ["ed25519"],
  ]
  private static let rsaBits = 2048...8192
  public static let maximumCertificates = 16

  /// The leaf first; owned.
  private let chain: [OpaquePointer]
  private let publicKey: OpaquePointer
  /// In the order of preference.
  let algorithms: [String]
  private let signer: Signer
  private var started: PendingSignature?

  /// - Parameters:
  ///   - chain: PEM, the leaf first
  ///   - digest: SHA-256 of the leaf, which then has to be good for authenticating a client now; nothing for whatever
  ///     leaf there is
  ///   - offered: what the signer can do, by TLS's names
  public init(chain text: String, digest: [UInt8]?, offered: [String], _ signer: @escaping Signer) throws(Failure) {
    let chain = TLSIdentity.certificates(text)
    self.chain = chain
    self.signer = signer
    do {
      guard let leaf = chain.first, chain.count <= Self.maximumCertificates else {
        throw Self.refusal("expected 1 to \(Self.maximumCertificates) certificates, and there are \(chain.count)")
      }
      if let digest { try Self.check(leaf, digest) }
      guard let publicKey = X509_get0_pubkey(leaf) else { throw Self.refusal("it has no public key") }
      self.publicKey = publicKey
      let possible = try Self.possible(publicKey)
      algorithms = possible.filter { offered.contains($0) }
      guard !algorithms.isEmpty else {
        throw Self.refusal("the provider offers none of \(possible.joined(separator: ", ")), which TLS 1.3 signs with")
      }
    } catch let failure as Failure {
      for certificate in chain { X509_free(certificate) }
      throw failure
    } catch {
      throw Self.refusal("it cannot be read")
    }
  }

  deinit { for certificate in chain { X509_free(certificate) } }

  private static func refusal(_ why: String) -> Failure {
    Failure(ErrorCode.tls, "use the client certificate of the mTLS provider: \(why)")
  }

  /// Refuses a leaf that is not the one expected, or not good for authenticating a client now.
  private static func check(_ leaf: OpaquePointer, _ digest: [UInt8]) throws {
    var found = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    var length: UInt32 = 0
    guard X509_digest(leaf, EVP_sha256(), &found, &length) == 1, found.prefix(Int(length)).elementsEqual(digest) else {
      throw refusal("it is another one than certificateSHA256 says")
    }
    guard rstream_certificate_is_valid_now(leaf) == 1 else {
      throw refusal("it is not valid now")
    }
    // Without the extension everything is said to be allowed; here it has to be said.
    let usage = X509_get_key_usage(leaf)
    guard usage != UInt32.max, usage & UInt32(KU_DIGITAL_SIGNATURE) != 0 else {
      throw refusal("its key usage does not say digitalSignature")
    }
    let extended = X509_get_extended_key_usage(leaf)
    guard extended != UInt32.max, extended & UInt32(XKU_SSL_CLIENT | XKU_ANYEKU) != 0 else {
      throw refusal("its extended key usage does not say clientAuth")
    }
  }

  private static func possible(_ key: OpaquePointer) throws -> [String] {
    if EVP_PKEY_is_a(key, "RSA") == 1 {
      guard rsaBits.contains(Int(EVP_PKEY_get_bits(key))) else {
        throw refusal("RSA keys of \(rsaBits.lowerBound) to \(rsaBits.upperBound) bits are possible")
      }
      return algorithms["RSA"] ?? []
    }
    if EVP_PKEY_is_a(key, "ED25519") == 1 { return algorithms["ED25519"] ?? [] }
    guard EVP_PKEY_is_a(key, "EC") == 1 else { throw refusal("its kind of key is not supported") }
    let curve = [256: "P-256", 384: "P-384", 521: "P-521"][Int(EVP_PKEY_get_bits(key))] ?? ""
    guard let found = algorithms[curve] else { throw refusal("its curve is not supported") }
    return found
  }

  // MARK: Connections

  /// Makes connections of a context show this certificate.
  func install(in context: OpaquePointer) throws(Failure) {
    let owner = Unmanaged.passUnretained(self).toOpaque()
    let key = rstream_external_key_new(
      publicKey,
      { owner, signing in
        guard let owner, let signing else { return }
        // On the handshake's own little stack: no more than this.
        Unmanaged<ExternalIdentity>.fromOpaque(owner).takeUnretainedValue().started = PendingSignature(signing)
      }, owner)
    defer { EVP_PKEY_free(key) }
    guard let key, let leaf = chain.first, SSL_CTX_use_certificate(context, leaf) == 1,
      SSL_CTX_use_PrivateKey(context, key) == 1,
      rstream_tls_sign_elsewhere(context, algorithms.joined(separator: ":")) == 1
    else { throw TLSContext.failure("use the client certificate of the mTLS provider") }
    for certificate in chain.dropFirst() where rstream_tls_add_chain_certificate(context, certificate) != 1 {
      throw TLSContext.failure("use the client certificate of the mTLS provider")
    }
  }

  /// What the handshake that was just paused waits for.
  func takeStarted() -> PendingSignature? {
    defer { started = nil }
    return started
  }

  /// Has a signature made. What comes is checked before it is sent to anybody.
  func sign(_ pending: PendingSignature, _ done: @escaping Answer) {
    let request = pending.request
    signer(request) { [publicKey] result in
      done(
        result.flatMap { signature in
          Self.isGood(signature, request, publicKey)
            ? .success(signature)
            : .failure(
              Failure(ErrorCode.tls, "the mTLS provider's signature does not fit the certificate: it is another key's"))
        })
    }
  }

  private static func isGood(_ signature: [UInt8], _ request: Request, _ key: OpaquePointer) -> Bool {
    let digest = ["256", "384", "512"].first { request.algorithm.hasSuffix($0) }.map { "SHA\($0)" }
    return rstream_verify(
      key, digest, request.algorithm.hasPrefix("rsa_pss") ? 1 : 0, signature, signature.count, request.message,
      request.message.count) == 1
  }
}

/// A signature that a paused handshake waits for.
final class PendingSignature {
  private var signing: UnsafeMutablePointer<rstream_signing>?
  let request: ExternalIdentity.Request

  init(_ signing: UnsafeMutablePointer<rstream_signing>) {
    self.signing = signing
    request = ExternalIdentity.Request(
      algorithm: String(cString: signing.pointee.algorithm),
      message: Array(UnsafeBufferPointer(start: signing.pointee.message, count: signing.pointee.message_length)))
  }

  /// Puts the signature in its place, or says that none comes. The handshake must go on right after.
  func finish(_ signature: [UInt8]?) {
    guard let signing else { return }
    self.signing = nil
    guard let signature, signature.count <= signing.pointee.capacity, let place = signing.pointee.signature else {
      signing.pointee.state = -1
      return
    }
    place.update(from: signature, count: signature.count)
    signing.pointee.signature_length = signature.count
    signing.pointee.state = 1
  }
}
