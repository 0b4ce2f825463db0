// SPDX-License-Identifier: Apache-2.0
import CPKCS11

/// Which token, and what on it.
public struct PKCS11Selection {
  public enum Token {
    case label(String)
    case serial(String)
    case slot(UInt)
  }

  public enum Object {
    case label(String)
    case id([UInt8])
  }

  public let module: String
  public let token: Token
  public let key: Object

  public init(module: String, token: Token, key: Object) {
    self.module = module
    self.token = token
    self.key = key
  }
}

/// A cryptographic token that was found through its module (PKCS#11 2.40). Everything here blocks and may be used by
/// several threads, none of which is the loop's.
public final class PKCS11Token {
  let functions: UnsafeMutablePointer<CK_FUNCTION_LIST>
  let slot: CK_SLOT_ID
  /// For messages.
  let name: String

  public init(_ selection: PKCS11Selection) throws(Failure) {
    let module = selection.module
    functions = try Self.load(module)
    var found: [(slot: CK_SLOT_ID, label: String)] = []
    var others: [String] = []
    for slot in try Self.slots(functions, module) {
      guard let token = Self.description(functions, slot) else { continue }
      let isWanted =
        switch selection.token {
        case .label(let label): token.label == label
        case .serial(let serial): token.serial == serial
        case .slot(let number): slot == number
        }
      if isWanted { found.append((slot, token.label)) } else { others.append(token.label) }
    }
    let wanted =
      switch selection.token {
      case .label(let label): "token \(label)"
      case .serial(let serial): "token with the serial number \(serial)"
      case .slot(let number): "token in slot \(number)"
      }
    guard let first = found.first else {
      let list = others.isEmpty ? "it has none" : "it has \(others.joined(separator: ", "))"
      throw Failure(ErrorCode.tls, "\(module) has no \(wanted): \(list)")
    }
    guard found.count == 1 else {
      throw Failure(
        ErrorCode.tls, "\(module) has \(found.count) tokens that match: choose by tokenSerial or slot instead")
    }
    slot = first.slot
    name = "token \(first.label.isEmpty ? "in slot \(first.slot)" : first.label)"
  }

  private static func load(_ path: String) throws(Failure) -> UnsafeMutablePointer<CK_FUNCTION_LIST> {
    var code: CK_RV = 0
    var reason = [CChar](repeating: 0, count: 512)
    if let functions = rstream_pkcs11_load(path, &code, &reason, reason.count) { return functions }
    guard code == CKR_OK else { throw PKCS11Code.failure(code, "start the PKCS#11 module \(path)") }
    let why = String(decoding: reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    throw Failure(
      ErrorCode.invalidConfig,
      "load the PKCS#11 module \(path): \(why); install the package of the token's maker "
        + "(opensc-pkcs11 for many smart cards) or set auth.mtls.storage.module to its library")
  }

  private static func slots(
    _ functions: UnsafeMutablePointer<CK_FUNCTION_LIST>, _ module: String
  ) throws(Failure) -> [CK_SLOT_ID] {
    var count: CK_ULONG = 0
    let attempt = "list the tokens of \(module)"
    try PKCS11Code.check(functions.pointee.C_GetSlotList?(1, nil, &count), attempt)
    // Room for those that are plugged in meanwhile.
    var slots = [CK_SLOT_ID](repeating: 0, count: Int(min(count, 1024)) + 4)
    count = CK_ULONG(slots.count)
    try PKCS11Code.check(functions.pointee.C_GetSlotList?(1, &slots, &count), attempt)
    return Array(slots.prefix(Int(count)))
  }

  /// Nothing for what is in the slot but does not answer.
  private static func description(
    _ functions: UnsafeMutablePointer<CK_FUNCTION_LIST>, _ slot: CK_SLOT_ID
  ) -> (label: String, serial: String)? {
    var information = CK_TOKEN_INFO()
    guard functions.pointee.C_GetTokenInfo?(slot, &information) == CKR_OK else { return nil }
    return (
      withUnsafeBytes(of: information.label) { padded($0) },
      withUnsafeBytes(of: information.serialNumber) { padded($0) }
    )
  }

  /// Texts of tokens are of a fixed length and end in blanks, in practice also in zeros.
  private static func padded(_ bytes: UnsafeRawBufferPointer) -> String {
    var text = bytes[...]
    while let last = text.last, last == UInt8(ascii: " ") || last == 0 { text.removeLast() }
    return String(decoding: text, as: UTF8.self)
  }
}

/// What modules answer (CKR_).
enum PKCS11Code {
  /// Asking again with the same PIN would lock the token.
  static let badPIN: Set<CK_RV> = [
    CK_RV(CKR_PIN_INCORRECT), CK_RV(CKR_PIN_INVALID), CK_RV(CKR_PIN_LEN_RANGE), CK_RV(CKR_PIN_EXPIRED),
    CK_RV(CKR_PIN_LOCKED),
  ]

  private static let words: [CK_RV: String] = [
    CK_RV(CKR_PIN_INCORRECT): "the PIN is wrong", CK_RV(CKR_PIN_INVALID): "the PIN has characters it does not take",
    CK_RV(CKR_PIN_LEN_RANGE): "the PIN is too short or too long", CK_RV(CKR_PIN_EXPIRED): "the PIN has expired",
    CK_RV(CKR_PIN_LOCKED): "the PIN is locked after too many wrong ones",
    CK_RV(CKR_TOKEN_NOT_PRESENT): "the token was removed", CK_RV(CKR_DEVICE_REMOVED): "the token was removed",
    CK_RV(CKR_DEVICE_ERROR): "the device has failed",
    CK_RV(CKR_TOKEN_NOT_RECOGNIZED): "the token is not recognized",
    CK_RV(CKR_USER_PIN_NOT_INITIALIZED): "no PIN was set on the token",
    CK_RV(CKR_SESSION_COUNT): "all its sessions are taken; set maxSessions to fewer",
    CK_RV(CKR_MECHANISM_INVALID): "it cannot sign that way",
    CK_RV(CKR_KEY_FUNCTION_NOT_PERMITTED): "the key is not for signing",
    CK_RV(CKR_KEY_TYPE_INCONSISTENT): "the key is of another kind than the certificate",
  ]

  static func failure(_ code: CK_RV, _ attempt: String) -> Failure {
    Failure(ErrorCode.tls, "\(attempt): \(words[code] ?? "it answered 0x\(String(code, radix: 16)) (PKCS#11)")")
  }

  static func check(_ code: CK_RV?, _ attempt: String) throws(Failure) {
    guard let code else { throw Failure(ErrorCode.tls, "\(attempt): the module has no such function") }
    guard code == CKR_OK else { throw failure(code, attempt) }
  }
}
