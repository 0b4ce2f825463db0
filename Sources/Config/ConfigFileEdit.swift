// SPDX-License-Identifier: Apache-2.0

/// Changes one value of a configuration file and leaves the rest, comments included, as its author wrote it. Where the
/// text has no place for the value, it is written anew from what it says.
struct ConfigFileEdit {
  private static let names = ["defaults", "context", "name"]

  private let text: [Unicode.Scalar]
  private let bytes: [UInt8]
  private let path: String

  init(_ bytes: [UInt8], path: String) {
    self.bytes = bytes
    self.path = path
    text = Array(String(decoding: bytes, as: UTF8.self).unicodeScalars)
  }

  func withDefaultContext(_ name: String) throws(ConfigError) -> [UInt8] {
    if let edited = try edited(name), isWritten(name, in: edited) { return edited }
    let written = try rewritten(name)
    guard isWritten(name, in: written) else {
      throw ConfigError(.invalidConfig, "\(path): the default context cannot be written there; edit the file by hand")
    }
    return written
  }

  private func isWritten(_ name: String, in bytes: [UInt8]) -> Bool {
    var notes = ConfigNotes()
    var before = ConfigNotes()
    guard let file = try? ConfigFile(bytes, path: path, &notes),
      let old = try? ConfigFile(self.bytes, path: path, &before)
    else { return false }
    return file.defaultContext?.value == name && file.contexts.map(\.name) == old.contexts.map(\.name)
      && file.environments.count == old.environments.count
  }

  // MARK: In place

  private func edited(_ name: String) throws(ConfigError) -> [UInt8]? {
    let value = YAMLText.scalar(name)
    var events = try YAMLEvents(bytes, file: path)
    try events.expect(.streamStart)
    guard try events.next().kind == .documentStart else {
      return replaced(text.count..<text.count, with: lineBreak + lines(Self.names[...], value, indent: 0))
    }
    var outer = MarkedMapping(try events.next())
    for (depth, wanted) in Self.names.enumerated() {
      guard let member = try outer.find(wanted, &events) else {
        // Before the first member, as indented as that.
        guard outer.isBlock, let first = outer.first, let column = column(of: first) else { return nil }
        let inserted = lines(Self.names[depth...], value, indent: column)
        if depth == 0 { return replaced(text.count..<text.count, with: lineBreak + inserted) }
        return replaced(first..<first, with: String(inserted.dropFirst(column)) + String(repeating: " ", count: column))
      }
      if depth == Self.names.count - 1 {
        return member.kind == .scalar && member.anchor == nil ? replaced(member.start..<member.end, with: value) : nil
      }
      outer = MarkedMapping(member)
    }
    return nil
  }

  /// "defaults:\n  context:\n    name: x\n", or its later part.
  private func lines(_ names: ArraySlice<String>, _ value: String, indent: Int) -> String {
    var result = ""
    for (depth, name) in names.enumerated() {
      let isLast = depth == names.count - 1
      result += String(repeating: " ", count: indent + depth * 2) + name + (isLast ? ": \(value)\n" : ":\n")
    }
    return result
  }

  private var lineBreak: String { text.last == nil || text.last == "\n" ? "" : "\n" }

  /// How far from the beginning of its line; nothing when something else is before it.
  private func column(of position: Int) -> Int? {
    guard text.indices.contains(position) else { return nil }
    let before = text[..<position].reversed().prefix { $0 != "\n" }
    return before.allSatisfy { $0 == " " } ? before.count : nil
  }

  private func replaced(_ range: Range<Int>, with new: String) -> [UInt8]? {
    guard range.lowerBound >= 0, range.upperBound <= text.count else { return nil }
    var result = String.UnicodeScalarView(text[..<range.lowerBound])
    result.append(contentsOf: new.unicodeScalars)
    result.append(contentsOf: text[range.upperBound...])
    return Array(String(result).utf8)
  }

  // MARK: Anew

  private func rewritten(_ name: String) throws(ConfigError) -> [UInt8] {
    let root = try YAMLDocument(bytes, file: path, .sharing).root ?? YAMLNode(line: 1, content: .mapping([]))
    return Array(YAMLText.document(YAMLText.setting(Self.names[...], in: root, to: name)).utf8)
  }
}

/// Looks through a mapping's events for one key.
private struct MarkedMapping {
  private let opening: YAMLEvents.Event
  /// Where the first key begins.
  private(set) var first: Int?

  init(_ opening: YAMLEvents.Event) { self.opening = opening }

  var isBlock: Bool { opening.kind == .mappingStart && !opening.isFlow && opening.anchor == nil }

  /// The first event of the key's value; the events up to it are consumed.
  mutating func find(_ wanted: String, _ events: inout YAMLEvents) throws(ConfigError) -> YAMLEvents.Event? {
    guard opening.kind == .mappingStart else { return nil }
    while true {
      let key = try events.next()
      if key.kind == .mappingEnd || key.kind == .streamEnd { return nil }
      first = first ?? key.start
      if key.kind == .scalar, key.text == wanted { return try events.next() }
      try skip(key, &events)
      try skip(try events.next(), &events)
    }
  }

  private func skip(_ event: YAMLEvents.Event, _ events: inout YAMLEvents) throws(ConfigError) {
    var depth = 0
    var current = event
    while true {
      switch current.kind {
      case .mappingStart, .sequenceStart: depth += 1
      case .mappingEnd, .sequenceEnd: depth -= 1
      case .streamEnd: return
      default: break
      }
      if depth <= 0 { return }
      current = try events.next()
    }
  }
}
