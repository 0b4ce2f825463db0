// SPDX-License-Identifier: Apache-2.0

/// The number of a field together with the way its value is written. A field of the schema that arrives in another wire
/// type is an unknown field, so readers match on both at once.
enum Field: Equatable {
  case varint(UInt32)
  case fixed64(UInt32)
  case bytes(UInt32)
  case group(UInt32)
  case endGroup(UInt32)
  case fixed32(UInt32)
}

/// Reads the protobuf wire format from untrusted bytes. What it accepts, and what it makes of it, is what Google's
/// implementation does.
struct ProtoReader {
  static let maximumDepth = 100
  /// The lowest field number where nothing is known: in a group, and in a message without fields. 0 is invalid anywhere
  /// else, but there Google's upb passes over it.
  static let lowestUnexamined: UInt32 = 0

  private let bytes: [UInt8]
  private var position = 0
  /// Where the message being read ends; never past the end of `bytes`.
  private var end: Int
  private var depth = maximumDepth

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
    end = bytes.count
  }

  /// The next field of the message being read, nil at its end.
  private mutating func nextField(from lowest: UInt32) throws(DecodeError) -> Field? {
    guard position < end else { return nil }
    let field = try anyField(from: lowest)
    if case .endGroup = field { throw .unmatchedGroup }
    return field
  }

  private mutating func anyField(from lowest: UInt32) throws(DecodeError) -> Field {
    let tag = try shortVarint()
    let number = tag >> 3
    guard number >= lowest else { throw .invalidFieldNumber }
    switch tag & 7 {
    case 0: return .varint(number)
    case 1: return .fixed64(number)
    case 2: return .bytes(number)
    case 3: return .group(number)
    case 4: return .endGroup(number)
    case 5: return .fixed32(number)
    default: throw .invalidWireType
    }
  }

  /// Passes over the value of a field that nobody knows.
  mutating func skip(_ field: Field) throws(DecodeError) {
    switch field {
    case .varint: _ = try varint()
    case .fixed64: try advance(8)
    case .fixed32: try advance(4)
    case .bytes: try advance(length())
    case .endGroup: throw .unmatchedGroup
    case .group(let number):
      try descend()
      while true {
        guard position < end else { throw .unmatchedGroup }
        let inner = try anyField(from: Self.lowestUnexamined)
        if case .endGroup(let ended) = inner {
          guard ended == number else { throw .unmatchedGroup }
          break
        }
        try skip(inner)
      }
      depth += 1
    }
  }

  // MARK: Scalars

  /// A 64-bit varint: at most ten bytes, bits beyond the 64th are dropped.
  mutating func varint() throws(DecodeError) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<10 {
      let byte = try byte()
      value |= UInt64(byte & 0x7f) << UInt64(7 * index)
      if byte < 0x80 { return value }
    }
    throw .malformedVarint
  }

  /// A tag or a length: at most five bytes, and it fits 32 bits.
  private mutating func shortVarint() throws(DecodeError) -> UInt32 {
    var value: UInt64 = 0
    for index in 0..<5 {
      let byte = try byte()
      value |= UInt64(byte & 0x7f) << UInt64(7 * index)
      if byte < 0x80 {
        guard let short = UInt32(exactly: value) else { throw .malformedVarint }
        return short
      }
    }
    throw .malformedVarint
  }

  mutating func bool() throws(DecodeError) -> Bool { try varint() != 0 }
  mutating func uint32() throws(DecodeError) -> UInt32 { UInt32(truncatingIfNeeded: try varint()) }
  mutating func int32() throws(DecodeError) -> Int32 { Int32(truncatingIfNeeded: try varint()) }
  mutating func int64() throws(DecodeError) -> Int64 { Int64(bitPattern: try varint()) }

  mutating func fixed32() throws(DecodeError) -> UInt32 {
    var value: UInt32 = 0
    for index in 0..<4 { value |= UInt32(try byte()) << UInt32(8 * index) }
    return value
  }

  mutating func byteString() throws(DecodeError) -> [UInt8] {
    let length = try length()
    let start = position
    try advance(length)
    return Array(bytes[start..<position])
  }

  mutating func string() throws(DecodeError) -> String {
    let length = try length()
    let start = position
    try advance(length)
    guard let string = String(validating: bytes[start..<position], as: UTF8.self) else { throw .invalidUTF8 }
    return string
  }

  // MARK: Messages

  /// Reads a message into one that may already hold fields: what arrives again is merged, not replaced.
  mutating func merge<M: ProtoMessage>(into message: inout M) throws(DecodeError) {
    let length = try length()
    let outerEnd = end
    try descend()
    end = position + length
    try mergeFields(into: &message)
    end = outerEnd
    depth += 1
  }

  mutating func merge<M: ProtoMessage>(into message: inout M?) throws(DecodeError) {
    // Taken out, so that the fields inside are not copied when they are written to.
    var value = message ?? M()
    message = nil
    try merge(into: &value)
    message = value
  }

  /// Reads a message that is a member of a oneof: merged into the same member if the oneof `held` it, else in place of
  /// any other.
  mutating func merge<Oneof, M: ProtoMessage>(
    into oneof: inout Oneof, empty: Oneof, _ member: (M) -> Oneof, _ held: (Oneof) -> M?
  ) throws(DecodeError) {
    var value = held(oneof) ?? M()
    oneof = empty
    try merge(into: &value)
    oneof = member(value)
  }

  /// Reads all fields up to the end of the message being read.
  mutating func mergeFields<M: ProtoMessage>(into message: inout M) throws(DecodeError) {
    while let field = try nextField(from: M.lowestFieldNumber) { try message.merge(field, from: &self) }
  }

  // MARK: Bytes

  private mutating func byte() throws(DecodeError) -> UInt8 {
    guard position < end else { throw .truncated }
    let byte = bytes[position]
    position += 1
    return byte
  }

  /// A length that is there: reading that many bytes stays inside the message.
  private mutating func length() throws(DecodeError) -> Int {
    let length = Int(try shortVarint())
    guard length <= end - position else { throw .truncated }
    return length
  }

  private mutating func advance(_ count: Int) throws(DecodeError) {
    guard count <= end - position else { throw .truncated }
    position += count
  }

  private mutating func descend() throws(DecodeError) {
    guard depth > 0 else { throw .nestedTooDeep }
    depth -= 1
  }
}
