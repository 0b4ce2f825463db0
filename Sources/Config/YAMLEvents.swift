// SPDX-License-Identifier: Apache-2.0
import CYAML

/// libyaml's parser: the only place that touches it. Owns the parser and a copy of its input.
@safe struct YAMLEvents: ~Copyable {
  enum Kind {
    case streamStart, streamEnd, documentStart, documentEnd
    case alias, scalar, sequenceStart, sequenceEnd, mappingStart, mappingEnd
    case other
  }

  struct Event {
    let kind: Kind
    /// From 1.
    let line: Int
    /// Where the event's text begins and ends in the input, in characters of it.
    var start = 0
    var end = 0
    var text = ""
    var isPlain = false
    /// Whether a sequence or mapping is written with brackets.
    var isFlow = false
    var anchor: String?
    var tag: String?
  }

  /// The parser keeps a pointer to itself, so it stays where it is.
  private let parser: UnsafeMutablePointer<yaml_parser_t>
  private let file: String
  private let input: UnsafeMutablePointer<UInt8>

  init(_ bytes: [UInt8], file: String) throws(ConfigError) {
    self.file = file
    unsafe input = .allocate(capacity: max(bytes.count, 1))
    for (index, byte) in bytes.enumerated() { unsafe (input + index).initialize(to: byte) }
    unsafe parser = .allocate(capacity: 1)
    unsafe parser.initialize(to: yaml_parser_t())
    guard unsafe yaml_parser_initialize(parser) == 1 else {
      throw ConfigError(.unreadable(12), "out of memory")
    }
    unsafe yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
    unsafe yaml_parser_set_input_string(parser, input, bytes.count)
  }

  deinit {
    unsafe yaml_parser_delete(parser)
    unsafe parser.deallocate()
    unsafe input.deallocate()
  }

  mutating func expect(_ kind: Kind) throws(ConfigError) {
    let event = try next()
    guard event.kind == kind else { throw failure(event.line, "not a YAML document") }
  }

  mutating func next() throws(ConfigError) -> Event {
    var event = unsafe yaml_event_t()
    guard unsafe yaml_parser_parse(parser, &event) == 1 else { throw parserError() }
    defer { unsafe yaml_event_delete(&event) }
    var result = unsafe Event(kind: YAMLEvents.kind(event.type), line: event.start_mark.line + 1)
    result.start = unsafe event.start_mark.index
    result.end = unsafe event.end_mark.index
    switch unsafe event.type {
    case YAML_ALIAS_EVENT:
      result.anchor = unsafe YAMLEvents.text(event.data.alias.anchor)
    case YAML_SCALAR_EVENT:
      let scalar = unsafe event.data.scalar
      result.text = unsafe String(
        decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
      result.isPlain = unsafe scalar.style == YAML_PLAIN_SCALAR_STYLE
      result.anchor = unsafe YAMLEvents.text(scalar.anchor)
      result.tag = unsafe YAMLEvents.text(scalar.tag)
    case YAML_SEQUENCE_START_EVENT:
      let sequence = unsafe event.data.sequence_start
      result.isFlow = unsafe sequence.style == YAML_FLOW_SEQUENCE_STYLE
      result.anchor = unsafe YAMLEvents.text(sequence.anchor)
      result.tag = unsafe YAMLEvents.text(sequence.tag)
    case YAML_MAPPING_START_EVENT:
      let mapping = unsafe event.data.mapping_start
      result.isFlow = unsafe mapping.style == YAML_FLOW_MAPPING_STYLE
      result.anchor = unsafe YAMLEvents.text(mapping.anchor)
      result.tag = unsafe YAMLEvents.text(mapping.tag)
    default:
      break
    }
    return result
  }

  func failure(_ line: Int, _ why: String) -> ConfigError {
    ConfigError(.invalidConfig, "\(file):\(line): \(why)")
  }

  private func parserError() -> ConfigError {
    let line = unsafe max(parser.pointee.problem_mark.line, parser.pointee.context_mark.line) + 1
    guard let problem = unsafe parser.pointee.problem else { return failure(line, "not valid YAML") }
    return failure(line, unsafe String(cString: problem))
  }

  private static func text(_ bytes: UnsafeMutablePointer<UInt8>?) -> String? {
    unsafe bytes.map { unsafe String(cString: $0) }
  }

  private static func kind(_ type: yaml_event_type_t) -> Kind {
    switch type {
    case YAML_STREAM_START_EVENT: .streamStart
    case YAML_STREAM_END_EVENT: .streamEnd
    case YAML_DOCUMENT_START_EVENT: .documentStart
    case YAML_DOCUMENT_END_EVENT: .documentEnd
    case YAML_ALIAS_EVENT: .alias
    case YAML_SCALAR_EVENT: .scalar
    case YAML_SEQUENCE_START_EVENT: .sequenceStart
    case YAML_SEQUENCE_END_EVENT: .sequenceEnd
    case YAML_MAPPING_START_EVENT: .mappingStart
    case YAML_MAPPING_END_EVENT: .mappingEnd
    default: .other
    }
  }
}
