// SPDX-License-Identifier: Apache-2.0
import RstreamWire

/// Any value of the wire module as JSON under the names it has in Swift. Nil is left out, a case of an enum is an object
/// with one member.
func json(_ value: Any) -> String {
  switch value {
  case let text as String: return quoted(text)
  case let flag as Bool: return flag ? "true" : "false"
  case let number as any BinaryInteger: return String(describing: number)
  case let code as PeerError.Code: return String(code.rawValue)
  case let labels as Labels: return object(labels.map { ($0.name, quoted($0.value)) })
  default: break
  }
  let mirror = Mirror(reflecting: value)
  switch mirror.displayStyle {
  case .collection:
    return "[" + mirror.children.map { json($0.value) }.joined(separator: ",") + "]"
  case .struct:
    return object(mirror.children.compactMap { child in present(child.value).map { (child.label ?? "?", json($0)) } })
  case .enum:
    return object(mirror.children.map { ($0.label ?? "?", json($0.value)) })
  default:
    return quoted("unexpected \(type(of: value))")
  }
}

private func present(_ value: Any) -> Any? {
  let mirror = Mirror(reflecting: value)
  return mirror.displayStyle == .optional ? mirror.children.first?.value : value
}

private func object(_ members: [(String, String)]) -> String {
  "{" + members.map { "\(quoted($0)):\($1)" }.joined(separator: ",") + "}"
}

private func quoted(_ text: String) -> String {
  var quoted = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"", "\\": quoted += "\\\(scalar)"
    case "\0"..<" ":
      quoted += scalar.value < 16 ? "\\u000" : "\\u00"
      quoted += String(scalar.value, radix: 16)
    default: quoted.unicodeScalars.append(scalar)
    }
  }
  return quoted + "\""
}
