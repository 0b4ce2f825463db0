// SPDX-License-Identifier: Apache-2.0

/// A message of the schema, as the reader and the writer see it.
protocol ProtoMessage {
  /// The message with no field set.
  init()
  static var lowestFieldNumber: UInt32 { get }
  /// Takes the value of a field from the reader, or lets the reader skip it.
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError)
  func write(to writer: inout ProtoWriter)
}

extension ProtoMessage {
  static var lowestFieldNumber: UInt32 { 1 }
}

/// A message whose arrival says everything.
protocol FieldlessMessage: ProtoMessage {}

extension FieldlessMessage {
  static var lowestFieldNumber: UInt32 { ProtoReader.lowestUnexamined }
  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) { try reader.skip(field) }
  func write(to writer: inout ProtoWriter) {}
}

/// A value that google/protobuf/wrappers.proto wraps in a message, so that its absence differs from its default.
protocol Wrappable {
  static var unwritten: Self { get }
  static func read(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) -> Self?
  func write(to writer: inout ProtoWriter)
}

/// StringValue, BoolValue and UInt32Value: one field, number 1.
private struct Wrapper<Value: Wrappable>: ProtoMessage {
  var value = Value.unwritten

  mutating func merge(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) {
    if let value = try Value.read(field, from: &reader) { self.value = value } else { try reader.skip(field) }
  }

  func write(to writer: inout ProtoWriter) { value.write(to: &writer) }
}

extension ProtoReader {
  mutating func wrapped<Value: Wrappable>(into value: inout Value?) throws(DecodeError) {
    var wrapper = Wrapper<Value>(value: value ?? .unwritten)
    try merge(into: &wrapper)
    value = wrapper.value
  }
}

extension ProtoWriter {
  mutating func wrapped<Value: Wrappable>(_ number: UInt32, _ value: Value?) {
    message(number, value.map { Wrapper(value: $0) })
  }
}

extension String: Wrappable {
  static var unwritten: String { "" }
  static func read(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) -> String? {
    field == .bytes(1) ? try reader.string() : nil
  }
  func write(to writer: inout ProtoWriter) { writer.string(1, self) }
}

extension Bool: Wrappable {
  static var unwritten: Bool { false }
  static func read(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) -> Bool? {
    field == .varint(1) ? try reader.bool() : nil
  }
  func write(to writer: inout ProtoWriter) { writer.bool(1, self) }
}

extension UInt32: Wrappable {
  static var unwritten: UInt32 { 0 }
  static func read(_ field: Field, from reader: inout ProtoReader) throws(DecodeError) -> UInt32? {
    field == .varint(1) ? try reader.uint32() : nil
  }
  func write(to writer: inout ProtoWriter) { writer.uint32(1, self) }
}
