// SPDX-License-Identifier: Apache-2.0

/// Why bytes are not a message.
public enum DecodeError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The bytes end inside a field.
  case truncated
  /// A varint of more bytes, or a larger value, than its place allows.
  case malformedVarint
  /// Field numbers begin at 1.
  case invalidFieldNumber
  /// Wire types 6 and 7 do not exist.
  case invalidWireType
  /// A group ends that did not begin, or begins and does not end.
  case unmatchedGroup
  /// More than `ProtoReader.maximumDepth` messages or groups inside each other.
  case nestedTooDeep
  /// A string field that is not UTF-8.
  case invalidUTF8

  public var description: String {
    switch self {
    case .truncated: "the message ends inside a field"
    case .malformedVarint: "a varint is too long or too large"
    case .invalidFieldNumber: "a field has number 0"
    case .invalidWireType: "a field has a wire type that does not exist"
    case .unmatchedGroup: "a group is not closed, or not open"
    case .nestedTooDeep: "the message is nested too deep"
    case .invalidUTF8: "a string is not UTF-8"
    }
  }
}
