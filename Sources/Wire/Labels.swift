// SPDX-License-Identifier: Apache-2.0

/// The labels of a tunnel: names and values, in the order of the names' bytes.
///
/// Two names are the same when their bytes are, as everywhere in the protocol. A Swift dictionary of strings would also
/// take different encodings of one character for the same name.
public struct Labels: Equatable, Sendable, Sequence, ExpressibleByDictionaryLiteral {
  private struct Name: Hashable {
    let text: String

    static func == (one: Name, other: Name) -> Bool { one.text.utf8.elementsEqual(other.text.utf8) }

    func hash(into hasher: inout Hasher) {
      for byte in text.utf8 { hasher.combine(byte) }
    }
  }

  private var values: [Name: String] = [:]

  public init() {}

  /// A name given twice has its last value.
  public init(dictionaryLiteral elements: (String, String)...) {
    for (name, value) in elements { self[name] = value }
  }

  public var isEmpty: Bool { values.isEmpty }
  public var count: Int { values.count }

  public subscript(name: String) -> String? {
    get { values[Name(text: name)] }
    set { values[Name(text: name)] = newValue }
  }

  public func makeIterator() -> some IteratorProtocol<(name: String, value: String)> {
    values.map { (name: $0.key.text, value: $0.value) }
      .sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
      .makeIterator()
  }
}

/// One name and value on the wire.
struct LabelEntry: ProtoMessage {
  var name = ""
  var value = ""
  private var hasUnknownField = false

  init() {}

  init(name: String, value: String) {
    self.name = name
    self.value = value
  }

  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    switch field {
    case .bytes(1): name = try reader.string()
    case .bytes(2): value = try reader.string()
    default:
      hasUnknownField = true
      try reader.skip(field)
    }
  }

  /// Map entries have no field but these two. One that has belongs to another schema: Google's implementation keeps it
  /// as a whole among the unknown fields, so it sets no label here either.
  func set(in labels: inout Labels) {
    if !hasUnknownField { labels[name] = value }
  }

  func write(to writer: inout ProtoWriter) {
    writer.presentString(1, name)
    writer.presentString(2, value)
  }
}
