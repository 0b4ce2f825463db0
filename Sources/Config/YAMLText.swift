// SPDX-License-Identifier: Apache-2.0

/// YAML as text: block style, two spaces deep.
enum YAMLText {
  static func document(_ root: YAMLNode) -> String {
    var result = ""
    write(root, indent: 0, afterKey: false, to: &result)
    return result
  }

  /// Text as a scalar, in quotes where it would be something else without them.
  static func scalar(_ text: String) -> String {
    let isSimple =
      text.utf8.allSatisfy { isAlphanumeric($0) || "._-/".utf8.contains($0) } && text.utf8.first != UInt8(ascii: "-")
    return isSimple && YAMLScalar(plain: text) == .text ? text : JSONText.quoted(text)
  }

  /// The node with a value at the end of these keys; what is in the way is replaced.
  static func setting(_ names: ArraySlice<String>, in node: YAMLNode?, to value: String) -> YAMLNode {
    let line = node?.line ?? 1
    guard let name = names.first else { return YAMLNode(line: line, content: .scalar(value, isPlain: false)) }
    var members: [YAMLMember] = []
    if case .mapping(let present) = node?.content { members = present }
    let index = members.firstIndex { member in
      if case .scalar(name, _) = member.key.content { true } else { false }
    }
    let inner = setting(names.dropFirst(), in: index.map { members[$0].value }, to: value)
    let key = YAMLNode(line: line, content: .scalar(name, isPlain: true))
    if let index {
      members[index] = YAMLMember(key: key, value: inner)
    } else {
      members.append(YAMLMember(key: key, value: inner))
    }
    return YAMLNode(line: line, content: .mapping(members))
  }

  private static func write(_ node: YAMLNode, indent: Int, afterKey: Bool, to result: inout String) {
    let margin = String(repeating: " ", count: indent)
    switch node.content {
    case .scalar(let text, let isPlain):
      // What was folded from several lines is one line only in quotes.
      let isOneLine = isPlain && !text.utf8.contains(0x0A)
      result += (afterKey ? " " : "") + (isOneLine ? text : scalar(text)) + "\n"
    case .sequence(let elements):
      if elements.isEmpty { result += (afterKey ? " " : "") + "[]\n" }
      if afterKey, !elements.isEmpty { result += "\n" }
      for element in elements {
        result += margin + "-"
        writeInner(element, indent: indent, to: &result)
      }
    case .mapping(let members):
      if members.isEmpty { result += (afterKey ? " " : "") + "{}\n" }
      if afterKey, !members.isEmpty { result += "\n" }
      for member in members {
        result += margin + key(member.key) + ":"
        writeInner(member.value, indent: indent, to: &result)
      }
    }
  }

  private static func writeInner(_ node: YAMLNode, indent: Int, to result: inout String) {
    write(node, indent: indent + 2, afterKey: true, to: &result)
  }

  private static func key(_ node: YAMLNode) -> String {
    guard case .scalar(let text, let isPlain) = node.content else { return "\"?\"" }
    return isPlain && !text.isEmpty ? text : scalar(text)
  }
}
