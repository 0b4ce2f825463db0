// SPDX-License-Identifier: Apache-2.0
import CPKCS11

/// A session on a token in which a private key can be used. It blocks, and is one thread's at a time.
public final class PKCS11Session {
  /// A wrong PIN: to try it again would lock the token.
  public struct RefusedPIN: Error {
    public let failure: Failure
  }

  private let token: PKCS11Token
  private let handle: CK_SESSION_HANDLE
  private let pin: [UInt8]
  private var key: CK_OBJECT_HANDLE = 0
  private var asksEachTime = false

  private var functions: CK_FUNCTION_LIST { token.functions.pointee }

  /// Opens a session, logs in unless another session has, and finds the key.
  public init(_ token: PKCS11Token, pin: [UInt8], key selection: PKCS11Selection.Object) throws {
    self.token = token
    self.pin = pin
    var handle: CK_SESSION_HANDLE = 0
    try PKCS11Code.check(
      token.functions.pointee.C_OpenSession?(token.slot, CK_FLAGS(CKF_SERIAL_SESSION), nil, nil, &handle),
      "open a session on \(token.name)")
    self.handle = handle
    do {
      try logIn(CK_USER_TYPE(CKU_USER))
      key = try find(CK_OBJECT_CLASS(CKO_PRIVATE_KEY), selection, "private key")
      asksEachTime = attribute(key, CK_ATTRIBUTE_TYPE(CKA_ALWAYS_AUTHENTICATE)) == [1]
    } catch {
      close()
      throw error
    }
  }

  public func close() { _ = functions.C_CloseSession?(handle) }

  private func logIn(_ user: CK_USER_TYPE) throws {
    var pin = pin
    guard let code = functions.C_Login?(handle, user, &pin, CK_ULONG(pin.count)) else { return }
    if code == CKR_OK || code == CKR_USER_ALREADY_LOGGED_IN { return }
    let failure = PKCS11Code.failure(code, "log in to \(token.name)")
    if PKCS11Code.badPIN.contains(code) { throw RefusedPIN(failure: failure) }
    throw failure
  }

  // MARK: Objects

  /// A certificate on the token, in DER.
  public func certificate(_ selection: PKCS11Selection.Object) throws(Failure) -> [UInt8] {
    let object = try find(CK_OBJECT_CLASS(CKO_CERTIFICATE), selection, "certificate")
    guard let value = attribute(object, CK_ATTRIBUTE_TYPE(CKA_VALUE)), !value.isEmpty else {
      throw Failure(ErrorCode.tls, "read the certificate on \(token.name): it has no content")
    }
    return value
  }

  private func find(
    _ kind: CK_OBJECT_CLASS, _ selection: PKCS11Selection.Object, _ what: String
  ) throws(Failure) -> CK_OBJECT_HANDLE {
    let (type, value, words): (CK_ATTRIBUTE_TYPE, [UInt8], String) =
      switch selection {
      case .label(let label): (CK_ATTRIBUTE_TYPE(CKA_LABEL), Array(label.utf8), "labelled \(label)")
      case .id(let id): (CK_ATTRIBUTE_TYPE(CKA_ID), id, "with the id \(Self.hexadecimal(id))")
      }
    let attempt = "look for the \(what) \(words) on \(token.name)"
    try PKCS11Code.check(beginSearch(kind, type, value), attempt)
    var found: [CK_OBJECT_HANDLE] = [0, 0]
    var count: CK_ULONG = 0
    let code = functions.C_FindObjects?(handle, &found, 2, &count)
    _ = functions.C_FindObjectsFinal?(handle)
    try PKCS11Code.check(code, attempt)
    guard let object = found.first, count > 0 else {
      throw Failure(ErrorCode.tls, "\(attempt): there is none")
    }
    guard count == 1 else {
      throw Failure(ErrorCode.tls, "\(attempt): there are several; choose by label or id, whichever is unique")
    }
    return object
  }

  private func beginSearch(_ kind: CK_OBJECT_CLASS, _ type: CK_ATTRIBUTE_TYPE, _ value: [UInt8]) -> CK_RV? {
    var kind = kind
    var value = value
    let functions = functions
    return withUnsafeMutablePointer(to: &kind) { kind in
      value.withUnsafeMutableBytes { value in
        var template = [
          CK_ATTRIBUTE(
            type: CK_ATTRIBUTE_TYPE(CKA_CLASS), pValue: kind, ulValueLen: CK_ULONG(MemoryLayout<CK_OBJECT_CLASS>.size)),
          CK_ATTRIBUTE(type: type, pValue: value.baseAddress, ulValueLen: CK_ULONG(value.count)),
        ]
        return functions.C_FindObjectsInit?(handle, &template, 2)
      }
    }
  }

  /// Nothing where the object has no such attribute.
  private func attribute(_ object: CK_OBJECT_HANDLE, _ type: CK_ATTRIBUTE_TYPE) -> [UInt8]? {
    var template = CK_ATTRIBUTE(type: type, pValue: nil, ulValueLen: 0)
    guard functions.C_GetAttributeValue?(handle, object, &template, 1) == CKR_OK,
      template.ulValueLen <= 65_536
    else { return nil }
    var value = [UInt8](repeating: 0, count: Int(template.ulValueLen))
    let code = value.withUnsafeMutableBytes { value in
      template.pValue = value.baseAddress
      return functions.C_GetAttributeValue?(handle, object, &template, 1)
    }
    return code == CKR_OK ? Array(value.prefix(Int(template.ulValueLen))) : nil
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  // MARK: Signatures

  /// Signs a message; `algorithm` is TLS's name.
  public func sign(_ message: [UInt8], _ algorithm: String) throws -> [UInt8] {
    let bits = ["256", "384", "512"].first { algorithm.hasSuffix($0) } ?? ""
    if algorithm == "ed25519" { return try sign(message, CK_MECHANISM_TYPE(CKM_EDDSA)) }
    let digest = Digest.sha2(bits: bits, message)
    guard algorithm.hasPrefix("rsa_pss") else {
      return try Self.sequence(of: sign(digest, CK_MECHANISM_TYPE(CKM_ECDSA)))
    }
    let hashes = ["256": CKM_SHA256, "384": CKM_SHA384, "512": CKM_SHA512]
    let masks = ["256": CKG_MGF1_SHA256, "384": CKG_MGF1_SHA384, "512": CKG_MGF1_SHA512]
    let parameters = CK_RSA_PKCS_PSS_PARAMS(
      hashAlg: CK_MECHANISM_TYPE(hashes[bits] ?? 0), mgf: CK_RSA_PKCS_MGF_TYPE(masks[bits] ?? 0),
      sLen: CK_ULONG(digest.count))
    return try sign(digest, CK_MECHANISM_TYPE(CKM_RSA_PKCS_PSS), parameters)
  }

  private func sign(
    _ bytes: [UInt8], _ kind: CK_MECHANISM_TYPE, _ parameters: CK_RSA_PKCS_PSS_PARAMS? = nil
  ) throws -> [UInt8] {
    let attempt = "sign with the key on \(token.name)"
    let functions = functions
    var mechanism = CK_MECHANISM(mechanism: kind, pParameter: nil, ulParameterLen: 0)
    var code: CK_RV?
    if var parameters {
      code = withUnsafeMutablePointer(to: &parameters) { parameters in
        mechanism.pParameter = UnsafeMutableRawPointer(parameters)
        mechanism.ulParameterLen = CK_ULONG(MemoryLayout<CK_RSA_PKCS_PSS_PARAMS>.size)
        return functions.C_SignInit?(handle, &mechanism, key)
      }
    } else {
      code = functions.C_SignInit?(handle, &mechanism, key)
    }
    try PKCS11Code.check(code, attempt)
    if asksEachTime { try logIn(CK_USER_TYPE(CKU_CONTEXT_SPECIFIC)) }
    var bytes = bytes
    var signature = [UInt8](repeating: 0, count: 1024)
    var count = CK_ULONG(signature.count)
    try PKCS11Code.check(functions.C_Sign?(handle, &bytes, CK_ULONG(bytes.count), &signature, &count), attempt)
    return Array(signature.prefix(Int(min(count, CK_ULONG(signature.count)))))
  }

  /// Tokens put the two numbers of an ECDSA signature one after the other; TLS wants them as a DER sequence (RFC 3279,
  /// section 2.2.3).
  static func sequence(of signature: [UInt8]) -> [UInt8] {
    let half = signature.count / 2
    let content = number(signature.prefix(half)) + number(signature.dropFirst(half))
    return [0x30] + length(content.count) + content
  }

  private static func number(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    var digits = Array(bytes.drop { $0 == 0 })
    if digits.isEmpty || digits[0] & 0x80 != 0 { digits.insert(0, at: 0) }
    return [0x02] + length(digits.count) + digits
  }

  private static func length(_ count: Int) -> [UInt8] {
    count < 128 ? [UInt8(count)] : [0x81, UInt8(truncatingIfNeeded: count)]
  }
}
