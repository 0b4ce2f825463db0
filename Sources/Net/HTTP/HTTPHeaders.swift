// SPDX-License-Identifier: Apache-2.0

/// The header fields of a message in their order, bytes as they came.
///
/// All names and values lie in one array, so that a head costs two allocations however many fields it has. What is in
/// here can be written to any HTTP version as it is: names are tokens, values contain no CR, LF or NUL.
public struct HTTPHeaders: Sendable {
  /// Where a field lies: its value follows its name.
  private struct Field: Sendable {
    var nameStart: Int
    var valueStart: Int
    var valueEnd: Int

    var name: Range<Int> { nameStart..<valueStart }
    var value: Range<Int> { valueStart..<valueEnd }
  }

  private var storage: [UInt8] = []
  private var fields: [Field] = []

  public init() {}

  public var count: Int { fields.count }
  public var isEmpty: Bool { fields.isEmpty }

  // MARK: Reading

  /// The first value under a name, in any case; bytes that are not UTF-8 are replaced.
  public func first(_ name: String) -> String? {
    var found: Field?
    search(name) { field in
      found = field
      return true
    }
    return found.map(valueText)
  }

  /// All values under a name.
  public func all(_ name: String) -> [String] {
    var texts: [String] = []
    search(name) { field in
      texts.append(valueText(field))
      return false
    }
    return texts
  }

  public func contains(_ name: String) -> Bool {
    search(name) { _ in true }
  }

  public func count(of name: String) -> Int {
    var count = 0
    search(name) { _ in
      count += 1
      return false
    }
    return count
  }

  /// Whether one of the comma-separated lists under a name contains a token, in any case.
  public func contains(_ name: String, token: String) -> Bool {
    search(name) { field in
      HTTPHeaders.elements(storage[field.value]).contains { equalsIgnoringCase($0, token.utf8) }
    }
  }

  /// The elements of all comma-separated lists under a name.
  public func listElements(_ name: String) -> [String] {
    var texts: [String] = []
    search(name) { field in
      texts += HTTPHeaders.elements(storage[field.value]).map { String(decoding: $0, as: UTF8.self) }
      return false
    }
    return texts
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
    fields.append(Field(nameStart: nameStart, valueStart: valueStart, valueEnd: storage.count))
  }

  /// Appends a field whose bytes were checked by a parser.
  mutating func append(checkedName name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
    let nameStart = storage.count
    storage.append(contentsOf: name)
    let valueStart = storage.count
    storage.append(contentsOf: value)
    fields.append(Field(nameStart: nameStart, valueStart: valueStart, valueEnd: storage.count))
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
    var name = name
    name.withUTF8 { wanted in
      removeAll { HTTPCharacter.isSame($0, UnsafeRawBufferPointer(wanted)) }
    }
  }

  mutating func removeAll(where shouldRemove: (_ name: UnsafeRawBufferPointer) -> Bool) {
    var kept = 0
    storage.withUnsafeBytes { bytes in
      for index in fields.indices {
        let field = fields[index]
        if shouldRemove(UnsafeRawBufferPointer(rebasing: bytes[field.name])) { continue }
        if kept < index { fields[kept] = field }
        kept += 1
      }
    }
    fields.removeLast(fields.count - kept)
  }

  // MARK: Inside

  /// Visits the fields under a name until the visitor says that it has seen enough; tells whether it did.
  @discardableResult
  private func search(_ name: String, _ visit: (Field) -> Bool) -> Bool {
    var name = name
    return name.withUTF8 { wanted in
      storage.withUnsafeBytes { bytes in
        for field in fields where field.name.count == wanted.count {
          let found = UnsafeRawBufferPointer(rebasing: bytes[field.name])
          if HTTPCharacter.isSame(found, UnsafeRawBufferPointer(wanted)), visit(field) { return true }
        }
        return false
      }
    }
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
