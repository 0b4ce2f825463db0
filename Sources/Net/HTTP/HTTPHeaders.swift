// SPDX-License-Identifier: Apache-2.0

/// The header fields of a message in their order, bytes as they came.
///
/// All names and values lie in one array, so that a head costs two allocations however many fields it has. What is in
/// here can be written to any HTTP version as it is: names are tokens, values contain no CR, LF or NUL.
public struct HTTPHeaders: Sendable {
  private struct Field: Sendable {
    var name: Range<Int>
    var value: Range<Int>
  }

  private var storage: [UInt8] = []
  private var fields: [Field] = []

  public init() {}

  public var count: Int { fields.count }
  public var isEmpty: Bool { fields.isEmpty }

  // MARK: Reading

  /// The first value under a name, in any case; bytes that are not UTF-8 are replaced.
  public func first(_ name: String) -> String? {
    fields.first { isNamed($0, name) }.map(valueText)
  }

  /// All values under a name.
  public func all(_ name: String) -> [String] {
    fields.lazy.filter { isNamed($0, name) }.map(valueText)
  }

  public func contains(_ name: String) -> Bool {
    fields.contains { isNamed($0, name) }
  }

  public func count(of name: String) -> Int {
    fields.reduce(0) { isNamed($1, name) ? $0 + 1 : $0 }
  }

  /// Whether one of the comma-separated lists under a name contains a token, in any case.
  public func contains(_ name: String, token: String) -> Bool {
    fields.contains { field in
      isNamed(field, name) && HTTPHeaders.elements(storage[field.value]).contains { equalsIgnoringCase($0, token.utf8) }
    }
  }

  /// The elements of all comma-separated lists under a name.
  public func listElements(_ name: String) -> [String] {
    fields.filter { isNamed($0, name) }.flatMap { field in
      HTTPHeaders.elements(storage[field.value]).map { String(decoding: $0, as: UTF8.self) }
    }
  }

  /// Lends every name and value in order.
  public func forEachField(_ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void) {
    storage.withUnsafeBytes { bytes in
      for field in fields {
        body(
          UnsafeRawBufferPointer(rebasing: bytes[field.name]), UnsafeRawBufferPointer(rebasing: bytes[field.value]))
      }
    }
  }

  /// Name and value at a position as text.
  public subscript(index: Int) -> (name: String, value: String)? {
    guard fields.indices.contains(index) else { return nil }
    return (String(decoding: storage[fields[index].name], as: UTF8.self), valueText(fields[index]))
  }

  // MARK: Changing

  /// Appends a field. A name that is no token is left out; CR, LF and NUL in a value become spaces (RFC 9110 5.5).
  public mutating func append(_ name: String, _ value: String) {
    guard !name.isEmpty, name.utf8.allSatisfy(HTTPCharacter.isToken) else { return }
    let nameStart = storage.count
    storage.append(contentsOf: name.utf8)
    let valueStart = storage.count
    for byte in value.utf8 { storage.append(byte == 0 || byte == 0x0A || byte == 0x0D ? 0x20 : byte) }
    fields.append(Field(name: nameStart..<valueStart, value: valueStart..<storage.count))
  }

  /// Appends a field whose bytes were checked by a parser.
  mutating func append(checkedName name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
    let nameStart = storage.count
    storage.append(contentsOf: name)
    let valueStart = storage.count
    storage.append(contentsOf: value)
    fields.append(Field(name: nameStart..<valueStart, value: valueStart..<storage.count))
  }

  mutating func reserve(bytes: Int, fields count: Int) {
    storage.reserveCapacity(bytes)
    fields.reserveCapacity(count)
  }

  /// Puts one field in the place of all under its name.
  public mutating func set(_ name: String, _ value: String) {
    remove(name)
    append(name, value)
  }

  public mutating func remove(_ name: String) {
    removeAll { equalsIgnoringCase($0, name.utf8) }
  }

  mutating func removeAll(where shouldRemove: (_ name: ArraySlice<UInt8>) -> Bool) {
    guard fields.contains(where: { shouldRemove(storage[$0.name]) }) else { return }
    fields = fields.filter { !shouldRemove(storage[$0.name]) }
  }

  // MARK: Inside

  private func isNamed(_ field: Field, _ name: String) -> Bool {
    equalsIgnoringCase(storage[field.name], name.utf8)
  }

  private func valueText(_ field: Field) -> String {
    String(decoding: storage[field.value], as: UTF8.self)
  }

  /// The elements of a comma-separated list, without the white space around them, empty ones left out.
  private static func elements(_ value: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
    value.split(separator: UInt8(ascii: ",")).compactMap { part in
      let part = part.drop(while: HTTPCharacter.isSpace)
      guard let last = part.lastIndex(where: { !HTTPCharacter.isSpace($0) }) else { return nil }
      return part[...last]
    }
  }
}

/// Compares ASCII text in any case; other bytes have to be equal.
func equalsIgnoringCase(_ one: some Collection<UInt8>, _ other: some Collection<UInt8>) -> Bool {
  one.count == other.count
    && zip(one, other).allSatisfy { HTTPCharacter.lowercased($0) == HTTPCharacter.lowercased($1) }
}

/// Classes of bytes in HTTP messages.
enum HTTPCharacter {
  /// One bit for each ASCII character that a token may contain (RFC 9110 5.6.2).
  private static let tokenLow: UInt64 = 0x03FF_6CFA_0000_0000
  private static let tokenHigh: UInt64 = 0x57FF_FFFF_C7FF_FFFE

  static func isToken(_ byte: UInt8) -> Bool {
    switch byte {
    case 0..<64: tokenLow >> UInt64(byte) & 1 == 1
    case 64..<128: tokenHigh >> UInt64(byte - 64) & 1 == 1
    default: false
    }
  }

  /// Visible ASCII, white space, and bytes above ASCII (RFC 9110 5.5).
  static func isFieldValue(_ byte: UInt8) -> Bool {
    byte >= 0x20 && byte != 0x7F || byte == 0x09
  }

  static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

  static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

  static func lowercased(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }

  /// What a host with optional port may consist of (RFC 3986 3.2.2 and 3.2.3); in particular no "/", "@" or space.
  static func isAuthority(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x3A, 0x41...0x5B, 0x5D, 0x61...0x7A: true
    case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "%"): true
    case UInt8(ascii: "!"), UInt8(ascii: "$"), UInt8(ascii: "&"), 0x27...0x2C, UInt8(ascii: ";"), UInt8(ascii: "="):
      true
    default: false
    }
  }
}
