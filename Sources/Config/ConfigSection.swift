// SPDX-License-Identifier: Apache-2.0

/// A value of a configuration file and where it is written: "config.yaml:12: contexts[0].engine".
struct Located<Value: Sendable>: Sendable {
  let value: Value
  let place: String
}

/// A mapping of a configuration file. Keys that nobody asks for are ignored; so is what has another type than the one
/// asked for where the official clients ignore it too, but not without a note.
struct ConfigSection {
  let file: String
  /// "contexts[0].transport"; empty for the whole file.
  let path: String
  let line: Int
  private var members: [String: YAMLMember] = [:]

  init(_ members: [YAMLMember], file: String, path: String, line: Int) throws(ConfigError) {
    self.file = file
    self.path = path
    self.line = line
    for member in members {
      guard case .scalar(let name, _) = member.key.content else { continue }
      guard self.members.updateValue(member, forKey: name) == nil else {
        throw ConfigError(.invalidConfig, "\(file):\(member.key.line): \(ConfigSection.join(path, name)): set twice")
      }
    }
  }

  var names: [String] { Array(members.keys) }

  /// Whether the key is there with something behind it.
  func has(_ name: String) -> Bool { members[name].map { !$0.value.isNull } ?? false }

  /// Where the value of a key is written; for a key that is not there, where the section is.
  func place(_ name: String) -> String {
    "\(file):\(members[name]?.key.line ?? line): \(ConfigSection.join(path, name))"
  }

  func section(_ name: String, _ notes: inout ConfigNotes) throws(ConfigError) -> ConfigSection? {
    guard let member = members[name], !member.value.isNull else { return nil }
    guard case .mapping(let inner) = member.value.content else {
      notes.add("\(place(name)): ignored, because it is not a section")
      return nil
    }
    return try ConfigSection(inner, file: file, path: ConfigSection.join(path, name), line: member.key.line)
  }

  /// The sections of a list.
  func sections(_ name: String, _ notes: inout ConfigNotes) throws(ConfigError) -> [ConfigSection] {
    guard let member = members[name], !member.value.isNull else { return [] }
    guard case .sequence(let elements) = member.value.content else {
      notes.add("\(place(name)): ignored, because it is not a list")
      return []
    }
    var sections: [ConfigSection] = []
    for (index, element) in elements.enumerated() {
      let path = "\(ConfigSection.join(path, name))[\(index)]"
      guard case .mapping(let inner) = element.content else {
        notes.add("\(file):\(element.line): \(path): ignored, because it is not a section")
        continue
      }
      sections.append(try ConfigSection(inner, file: file, path: path, line: element.line))
    }
    return sections
  }

  /// Text without the white space around it; nothing for blank text, and for what is not text. Labels, serial numbers and
  /// the like may look like numbers: with `isAnything` they are text all the same.
  func text(_ name: String, _ notes: inout ConfigNotes, isAnything: Bool = false) -> Located<String>? {
    guard let member = members[name], !member.value.isNull else { return nil }
    guard case .scalar(let text, let isPlain) = member.value.content else {
      notes.add("\(place(name)): ignored, because it is not text")
      return nil
    }
    if isPlain, !isAnything, YAMLScalar(plain: text) != .text {
      notes.add("\(place(name)): ignored, because it is not text; put it in quotes if it is meant")
      return nil
    }
    let trimmed = text.trimmed()
    return trimmed.isEmpty ? nil : Located(value: trimmed, place: place(name))
  }

  func flag(_ name: String) throws(ConfigError) -> Located<Bool>? {
    guard let member = members[name], !member.value.isNull else { return nil }
    guard case .scalar(let text, isPlain: true) = member.value.content, case .flag(let flag) = YAMLScalar(plain: text)
    else { throw failure(name, "expected true or false, without quotes") }
    return Located(value: flag, place: place(name))
  }

  func number(_ name: String) throws(ConfigError) -> Located<Int>? {
    guard let member = members[name], !member.value.isNull else { return nil }
    guard case .scalar(let text, isPlain: true) = member.value.content,
      case .number(let number?) = YAMLScalar(plain: text)
    else { throw failure(name, "expected a whole number") }
    return Located(value: number, place: place(name))
  }

  func texts(_ name: String) throws(ConfigError) -> Located<[String]>? {
    guard let member = members[name], !member.value.isNull else { return nil }
    guard case .sequence(let elements) = member.value.content else { throw failure(name, "expected a list") }
    var texts: [String] = []
    for element in elements {
      guard let text = ConfigSection.text(element) else { throw failure(name, "expected a list of text, in quotes") }
      texts.append(text)
    }
    return Located(value: texts, place: place(name))
  }

  func headers(_ name: String, _ receiver: HeaderList.Receiver) throws(ConfigError) -> Located<HeaderList>? {
    guard let member = members[name], !member.value.isNull else { return nil }
    guard case .mapping(let inner) = member.value.content else {
      throw failure(name, "expected a section of names and values")
    }
    var headers: [(name: String, value: String)] = []
    for header in inner {
      guard let key = ConfigSection.text(header.key), let value = ConfigSection.text(header.value) else {
        throw failure(name, "expected names and values that are text; put others in quotes")
      }
      headers.append((key, value))
    }
    do { return Located(value: try HeaderList(headers, receiver), place: place(name)) } catch {
      throw error.at(place(name))
    }
  }

  func failure(_ name: String, _ why: String) -> ConfigError {
    ConfigError(.invalidConfig, "\(place(name)): \(why)")
  }

  private static func text(_ node: YAMLNode) -> String? {
    guard case .scalar(let text, let isPlain) = node.content, !isPlain || YAMLScalar(plain: text) == .text else {
      return nil
    }
    return text
  }

  private static func join(_ path: String, _ name: String) -> String {
    let shown = name.unicodeScalars.prefix(80).map { $0.value < 0x20 || $0.value == 0x7F ? "?" : String($0) }.joined()
    return path.isEmpty ? shown : "\(path).\(shown)"
  }
}

/// What a configuration file contains that is of no use, each once.
struct ConfigNotes {
  private(set) var texts: [String] = []

  mutating func add(_ text: String) {
    if !texts.contains(text), texts.count < 100 { texts.append(text) }
  }
}
