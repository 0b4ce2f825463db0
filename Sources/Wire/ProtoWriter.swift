// SPDX-License-Identifier: Apache-2.0

/// Writes the protobuf wire format. Fields come out in the order they are written, which in this module is the order of
/// their numbers: equal messages have equal bytes.
struct ProtoWriter {
  private(set) var bytes: [UInt8] = []

  /// Begins with bytes that are not part of the message, for a header that is known only at the end.
  init(leading: [UInt8] = []) {
    bytes = leading
  }

  mutating func overwrite(_ index: Int, with byte: UInt8) {
    guard bytes.indices.contains(index) else { return }
    bytes[index] = byte
  }

  // MARK: Fields that are left out at their default

  mutating func uint64(_ number: UInt32, _ value: UInt64) {
    guard value != 0 else { return }
    tag(number, 0)
    varint(value)
  }

  mutating func uint32(_ number: UInt32, _ value: UInt32) { uint64(number, UInt64(value)) }
  mutating func bool(_ number: UInt32, _ value: Bool) { uint64(number, value ? 1 : 0) }
  mutating func int64(_ number: UInt32, _ value: Int64) { uint64(number, UInt64(bitPattern: value)) }
  /// Negative numbers take ten bytes: the sign is extended to 64 bits.
  mutating func int32(_ number: UInt32, _ value: Int32) { int64(number, Int64(value)) }

  mutating func string(_ number: UInt32, _ value: String) {
    if !value.isEmpty { presentString(number, value) }
  }

  // MARK: Fields that are written whatever their value: members of a oneof, elements of a list

  mutating func presentString(_ number: UInt32, _ value: String) {
    let utf8 = value.utf8
    tag(number, 2)
    varint(UInt64(utf8.count))
    bytes.append(contentsOf: utf8)
  }

  mutating func presentBytes(_ number: UInt32, _ value: [UInt8]) {
    tag(number, 2)
    varint(UInt64(value.count))
    bytes.append(contentsOf: value)
  }

  mutating func presentFixed32(_ number: UInt32, _ value: UInt32) {
    tag(number, 5)
    for shift in [0, 8, 16, 24] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
  }

  mutating func message<M: ProtoMessage>(_ number: UInt32, _ message: M?) {
    guard let message else { return }
    tag(number, 2)
    // Most lengths take one byte; where one takes more, the message moves up to make room.
    let lengthIndex = bytes.count
    bytes.append(0)
    message.write(to: &self)
    var length = UInt64(bytes.count - lengthIndex - 1)
    if length < 0x80 {
      bytes[lengthIndex] = UInt8(truncatingIfNeeded: length)
      return
    }
    var encoded: [UInt8] = []
    while length >= 0x80 {
      encoded.append(UInt8(truncatingIfNeeded: length) | 0x80)
      length >>= 7
    }
    encoded.append(UInt8(truncatingIfNeeded: length))
    bytes.replaceSubrange(lengthIndex...lengthIndex, with: encoded)
  }

  // MARK: Bytes

  private mutating func tag(_ number: UInt32, _ wireType: UInt64) {
    varint(UInt64(number) << 3 | wireType)
  }

  private mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: rest))
  }
}
