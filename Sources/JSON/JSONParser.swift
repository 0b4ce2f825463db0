// SPDX-License-Identifier: Apache-2.0
import CJansson

/// Reads JSON with jansson: the only place that touches it. Texts come from peers, so their size and depth are bounded
/// and a name may stand in an object only once.
public enum JSONParser {
  public static let maximumBytes = 262_144
  static let maximumDepth = 32

  public struct Failure: Error, Equatable, Sendable {
    /// Never contains the text itself, which may be a token's.
    public let message: String
  }

  /// - Parameter limit: how many bytes are taken
  public static func parse(_ bytes: [UInt8], limit: Int = maximumBytes) throws(Failure) -> JSONValue {
    guard bytes.count <= limit else { throw Failure(message: "larger than \(limit) bytes") }
    guard isShallow(bytes) else { throw Failure(message: "nested deeper than \(maximumDepth) levels") }
    var error = json_error_t()
    let flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY
    let root = bytes.withUnsafeBytes { bytes in
      json_loadb(bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count, Int(flags), &error)
    }
    guard let root else { throw Failure(message: "not valid JSON at position \(error.position)") }
    defer { json_decref(root) }
    return value(of: root)
  }

  /// Looks for brackets outside of strings, so that jansson's recursion is bounded before it begins.
  private static func isShallow(_ bytes: [UInt8]) -> Bool {
    var depth = 0
    var isInString = false
    var isEscaped = false
    for byte in bytes {
      if isInString {
        if isEscaped {
          isEscaped = false
        } else if byte == UInt8(ascii: "\\") {
          isEscaped = true
        } else if byte == UInt8(ascii: "\"") {
          isInString = false
        }
        continue
      }
      switch byte {
      case UInt8(ascii: "\""): isInString = true
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
      default: break
      }
      if depth > maximumDepth { return false }
    }
    return true
  }

  private static func value(of node: UnsafeMutablePointer<json_t>) -> JSONValue {
    switch node.pointee.type {
    case JSON_TRUE: return .bool(true)
    case JSON_FALSE: return .bool(false)
    case JSON_INTEGER: return .integer(Int64(json_integer_value(node)))
    case JSON_REAL: return .real(json_real_value(node))
    case JSON_STRING: return .string(text(json_string_value(node), json_string_length(node)))
    case JSON_ARRAY:
      return .array((0..<json_array_size(node)).compactMap { json_array_get(node, $0).map(value) })
    case JSON_OBJECT:
      var members: [JSONMember] = []
      members.reserveCapacity(json_object_size(node))
      var iterator = json_object_iter(node)
      while let current = iterator {
        if let key = json_object_iter_key(current), let member = json_object_iter_value(current) {
          members.append(JSONMember(String(cString: key), value(of: member)))
        }
        iterator = json_object_iter_next(node, current)
      }
      return .object(members)
    default: return .null
    }
  }

  private static func text(_ bytes: UnsafePointer<CChar>?, _ count: Int) -> String {
    String(decoding: UnsafeRawBufferPointer(start: bytes, count: count), as: UTF8.self)
  }
}
