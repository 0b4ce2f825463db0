// SPDX-License-Identifier: Apache-2.0

/// Strings as JSON text, which is how settings carry several of them in one value.
enum JSONText {
  static func object(_ members: [(name: String, value: String)]) -> String {
    "{\(members.map { "\(quoted($0.name)):\(quoted($0.value))" }.joined(separator: ","))}"
  }

  static func list(_ elements: [String]) -> String {
    "[\(elements.map(quoted).joined(separator: ","))]"
  }

  static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case _ where scalar.value < 0x20 || scalar.value == 0x7F:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
