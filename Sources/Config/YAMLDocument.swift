// SPDX-License-Identifier: Apache-2.0
import CYAML

/// One value of a YAML document and the line it begins on (from 1).
struct YAMLNode {
  enum Content {
    case scalar(String, isPlain: Bool)
    case sequence([YAMLNode])
    case mapping([(key: YAMLNode, value: YAMLNode)])
  }

  let line: Int
  let content: Content

  /// Whether the value says "nothing here": `key:`, `key: ~`, `key: null`.
  var isNull: Bool {
    guard case .scalar(let text, isPlain: true) = content else { return false }
    return ["", "~", "null", "Null", "NULL"].contains(text)
  }
}

/// Reads one YAML document as plain data: no anchors, aliases or tags, at most one document, bounded depth.
struct YAMLDocument {
  static let maximumDepth = 16

  /// The outermost value; nothing for an empty document.
  let root: YAMLNode?

  /// `file` names the document in errors.
  init(_ bytes: [UInt8], file: String) throws(ConfigError) {
    var events = try YAMLEvents(bytes, file: file)
    try events.expect(YAML_STREAM_START_EVENT)
    let first = try events.next()
    guard first.type == YAML_DOCUMENT_START_EVENT else {
      root = nil
      return
    }
    root = try YAMLDocument.node(try events.next(), &events, depth: 0)
    try events.expect(YAML_DOCUMENT_END_EVENT)
    let last = try events.next()
    guard last.type == YAML_STREAM_END_EVENT else {
      throw events.failure(last.line, "only one document is allowed")
    }
  }

  private static func node(
    _ event: YAMLEvents.Event, _ events: inout YAMLEvents, depth: Int
  ) throws(ConfigError) -> YAMLNode {
    guard depth < maximumDepth else {
      throw events.failure(event.line, "nested deeper than \(maximumDepth) levels")
    }
    switch event.type {
    case YAML_SCALAR_EVENT:
      return YAMLNode(line: event.line, content: .scalar(event.text, isPlain: event.isPlain))
    case YAML_SEQUENCE_START_EVENT:
      var elements: [YAMLNode] = []
      while true {
        let next = try events.next()
        if next.type == YAML_SEQUENCE_END_EVENT { break }
        elements.append(try node(next, &events, depth: depth + 1))
      }
      return YAMLNode(line: event.line, content: .sequence(elements))
    case YAML_MAPPING_START_EVENT:
      var members: [(key: YAMLNode, value: YAMLNode)] = []
      while true {
        let next = try events.next()
        if next.type == YAML_MAPPING_END_EVENT { break }
        let key = try node(next, &events, depth: depth + 1)
        members.append((key, try node(try events.next(), &events, depth: depth + 1)))
      }
      return YAMLNode(line: event.line, content: .mapping(members))
    default:
      throw events.failure(event.line, "expected a value")
    }
  }
}

/// libyaml's parser: the only place that touches it. Owns the parser and a copy of its input.
@safe private struct YAMLEvents: ~Copyable {
  struct Event {
    let type: yaml_event_type_t
    let line: Int
    var text = ""
    var isPlain = false
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

  mutating func expect(_ type: yaml_event_type_t) throws(ConfigError) {
    let event = try next()
    guard event.type == type else { throw failure(event.line, "not a YAML document") }
  }

  mutating func next() throws(ConfigError) -> Event {
    var event = unsafe yaml_event_t()
    guard unsafe yaml_parser_parse(parser, &event) == 1 else { throw parserError() }
    defer { unsafe yaml_event_delete(&event) }
    let line = unsafe event.start_mark.line + 1
    var result = unsafe Event(type: event.type, line: line)
    var hasProperties = false
    switch unsafe event.type {
    case YAML_ALIAS_EVENT:
      hasProperties = true
    case YAML_SCALAR_EVENT:
      let scalar = unsafe event.data.scalar
      hasProperties = unsafe scalar.anchor != nil || scalar.tag != nil
      result.text = unsafe String(
        decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
      result.isPlain = unsafe scalar.style == YAML_PLAIN_SCALAR_STYLE
    case YAML_SEQUENCE_START_EVENT:
      hasProperties = unsafe event.data.sequence_start.anchor != nil || event.data.sequence_start.tag != nil
    case YAML_MAPPING_START_EVENT:
      hasProperties = unsafe event.data.mapping_start.anchor != nil || event.data.mapping_start.tag != nil
    default:
      break
    }
    if hasProperties {
      throw failure(line, "anchors, aliases and tags are not supported; write the value out")
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
}
