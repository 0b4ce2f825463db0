// SPDX-License-Identifier: Apache-2.0

/// One value of a YAML document and the line it begins on (from 1).
struct YAMLNode {
  enum Content {
    case scalar(String, isPlain: Bool)
    case sequence([YAMLNode])
    case mapping([YAMLMember])
  }

  let line: Int
  let content: Content

  /// Whether the value says "nothing here": `key:`, `key: ~`, `key: null`.
  var isNull: Bool {
    guard case .scalar(let text, isPlain: true) = content else { return false }
    return ["", "~", "null", "Null", "NULL"].contains(text)
  }
}

/// A key of a mapping and what is behind it.
struct YAMLMember {
  let key: YAMLNode
  let value: YAMLNode
}

/// Reads one YAML document as data: at most one document, bounded depth.
struct YAMLDocument {
  /// What a document may use besides plain data.
  enum Dialect {
    /// Neither anchors nor tags.
    case plain
    /// Anchors, aliases, merge keys (`<<`) and the tags of YAML's own strings, lists and mappings.
    case sharing
  }

  static let maximumDepth = 16

  /// The outermost value; nothing for an empty document.
  let root: YAMLNode?

  /// `file` names the document in errors.
  init(_ bytes: [UInt8], file: String, _ dialect: Dialect = .plain) throws(ConfigError) {
    var events = try YAMLEvents(bytes, file: file)
    try events.expect(.streamStart)
    guard try events.next().kind == .documentStart else {
      root = nil
      return
    }
    var builder = YAMLBuilder(dialect)
    root = try builder.node(try events.next(), &events, depth: 0).node
    try events.expect(.documentEnd)
    let last = try events.next()
    guard last.kind == .streamEnd else { throw events.failure(last.line, "only one document is allowed") }
  }
}

/// Makes nodes of events. A node that an alias repeats is shared, not copied: what small text can blow up is only its
/// depth, which is counted, and mappings that merge others, whose members are.
private struct YAMLBuilder {
  private static let maximumMerged = 10_000

  /// A node and how many levels it has below itself.
  typealias Built = (node: YAMLNode, height: Int)

  private let dialect: YAMLDocument.Dialect
  private var anchors: [String: Built] = [:]
  private var merged = 0

  init(_ dialect: YAMLDocument.Dialect) { self.dialect = dialect }

  mutating func node(_ event: YAMLEvents.Event, _ events: inout YAMLEvents, depth: Int) throws(ConfigError) -> Built {
    if case .plain = dialect, event.anchor != nil || event.tag != nil {
      throw events.failure(event.line, "anchors, aliases and tags are not supported; write the value out")
    }
    let built = try build(event, &events, depth: depth)
    guard depth + built.height < YAMLDocument.maximumDepth else {
      throw events.failure(event.line, "nested deeper than \(YAMLDocument.maximumDepth) levels")
    }
    if let anchor = event.anchor { anchors[anchor] = built }
    return built
  }

  private mutating func build(
    _ event: YAMLEvents.Event, _ events: inout YAMLEvents, depth: Int
  ) throws(ConfigError) -> Built {
    guard depth < YAMLDocument.maximumDepth else {
      throw events.failure(event.line, "nested deeper than \(YAMLDocument.maximumDepth) levels")
    }
    switch event.kind {
    case .alias:
      guard let anchor = event.anchor, let known = anchors[anchor] else {
        throw events.failure(event.line, "an alias of something that was not anchored before")
      }
      return known
    case .scalar:
      let isText = try isOwn(event, ["str"], events)
      return (YAMLNode(line: event.line, content: .scalar(event.text, isPlain: event.isPlain && !isText)), 0)
    case .sequenceStart:
      _ = try isOwn(event, ["seq"], events)
      var elements: [YAMLNode] = []
      var height = 0
      while true {
        let next = try events.next()
        if next.kind == .sequenceEnd { break }
        let element = try node(next, &events, depth: depth + 1)
        elements.append(element.node)
        height = max(height, element.height + 1)
      }
      return (YAMLNode(line: event.line, content: .sequence(elements)), height)
    case .mappingStart:
      _ = try isOwn(event, ["map"], events)
      return try mapping(event, &events, depth: depth)
    default:
      throw events.failure(event.line, "expected a value")
    }
  }

  private mutating func mapping(
    _ event: YAMLEvents.Event, _ events: inout YAMLEvents, depth: Int
  ) throws(ConfigError) -> Built {
    var members: [YAMLMember] = []
    var merging: [YAMLNode] = []
    var height = 0
    while true {
      let next = try events.next()
      if next.kind == .mappingEnd { break }
      let key = try node(next, &events, depth: depth + 1)
      let value = try node(try events.next(), &events, depth: depth + 1)
      height = max(height, key.height + 1, value.height + 1)
      if case .sharing = dialect, case .scalar("<<", isPlain: true) = key.node.content {
        merging.append(value.node)
      } else {
        members.append(YAMLMember(key: key.node, value: value.node))
      }
    }
    for source in merging { try merge(source, into: &members, events) }
    return (YAMLNode(line: event.line, content: .mapping(members)), height)
  }

  /// Adds the members of a mapping, or of a list of mappings, whose keys are not there yet.
  private mutating func merge(
    _ source: YAMLNode, into members: inout [YAMLMember], _ events: borrowing YAMLEvents
  ) throws(ConfigError) {
    switch source.content {
    case .sequence(let sources):
      for source in sources {
        if case .sequence = source.content { throw events.failure(source.line, "<<: expected mappings") }
        try merge(source, into: &members, events)
      }
    case .mapping(let added):
      let known = Set(members.compactMap { YAMLBuilder.text($0.key) })
      merged += added.count
      guard merged <= YAMLBuilder.maximumMerged else { throw events.failure(source.line, "<<: too much is merged") }
      members += added.filter { member in YAMLBuilder.text(member.key).map { !known.contains($0) } ?? false }
    case .scalar:
      throw events.failure(source.line, "<<: expected a mapping or a list of mappings")
    }
  }

  private static func text(_ node: YAMLNode) -> String? {
    guard case .scalar(let text, _) = node.content else { return nil }
    return text
  }

  /// Whether the event has one of YAML's own tags that are named. Others are refused.
  private func isOwn(
    _ event: YAMLEvents.Event, _ names: [String], _ events: borrowing YAMLEvents
  ) throws(ConfigError) -> Bool {
    guard let tag = event.tag else { return false }
    guard tag == "!" || names.contains(where: { tag == "tag:yaml.org,2002:\($0)" }) else {
      throw events.failure(event.line, "the tag \(tag.quoted()) is not supported")
    }
    return true
  }
}
