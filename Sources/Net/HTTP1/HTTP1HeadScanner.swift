// SPDX-License-Identifier: Apache-2.0

/// Finds the end of a head or a trailer section, and refuses whatever two implementations could read differently.
///
/// Debian builds http_parser without its strict checks: it takes bare LF, white space before the colon, folded lines and
/// spaces inside names. All of these have served to smuggle requests past a gateway, so every byte passes here first.
/// Works on pieces of any size and looks at each byte once.
struct HTTP1HeadScanner {
  enum Section {
    case request
    case response
    case trailers
  }

  private enum State {
    case beginning
    case emptyLineBeforeRequest
    case startLine
    case startLineEnd
    case lineBeginning
    case fieldName
    case fieldValue
    case fieldEnd
    case sectionEnd
  }

  private static let responsePrefix = Array("HTTP/".utf8)

  private let section: Section
  private let limits: HTTP1Limits
  private var state: State
  private var total = 0
  private var fields = 0
  private var spacesInStartLine = 0
  private var previousWasSpace = false
  private var hasSkippedLine = false

  init(_ section: Section, limits: HTTP1Limits) {
    self.section = section
    self.limits = limits
    state = section == .trailers ? .lineBeginning : .beginning
  }

  /// Whether nothing of a message was seen yet.
  var isAtBeginning: Bool { state == .beginning }

  /// How many bytes were seen so far.
  var scanned: Int { total }

  /// Looks at bytes; returns how many belong to the section when it ends within them.
  mutating func scan(_ bytes: UnsafeRawBufferPointer) throws(HTTP1Error) -> Int? {
    var index = 0
    while index < bytes.count {
      let byte = bytes[index]
      index += 1
      total += 1
      if total > limits.headBytes { throw tooLarge() }
      switch state {
      case .fieldValue:
        if byte == 0x0D {
          state = .fieldEnd
        } else if !HTTPCharacter.isFieldValue(byte) {
          throw HTTP1Error("a header value contains a control character or a line ends without CR")
        }
      case .fieldName:
        if byte == UInt8(ascii: ":") {
          state = .fieldValue
        } else if !HTTPCharacter.isToken(byte) {
          throw HTTP1Error("a header name contains a character that is not allowed")
        }
      case .fieldEnd:
        try expectLineFeed(byte)
        state = .lineBeginning
      case .lineBeginning:
        try beginLine(byte)
      case .sectionEnd:
        try expectLineFeed(byte)
        state = section == .trailers ? .lineBeginning : .beginning
        return index
      case .beginning, .emptyLineBeforeRequest, .startLine, .startLineEnd:
        try scanStartLine(byte)
      }
    }
    return nil
  }

  private mutating func scanStartLine(_ byte: UInt8) throws(HTTP1Error) {
    switch state {
    case .beginning where byte == 0x0D && section == .request && !hasSkippedLine:
      hasSkippedLine = true
      state = .emptyLineBeforeRequest
    case .emptyLineBeforeRequest:
      try expectLineFeed(byte)
      state = .beginning
    case .startLineEnd:
      try expectLineFeed(byte)
      if section == .request, spacesInStartLine != 2 { throw HTTP1Error("the request line has not three parts") }
      state = .lineBeginning
    default:
      // A service that speaks something else may never come to the end of a line.
      if section == .response, total <= Self.responsePrefix.count, byte != Self.responsePrefix[total - 1] {
        throw HTTP1Error("a response does not begin with HTTP/")
      }
      if total > limits.startLineBytes {
        throw HTTP1Error(
          section == .request ? 414 : 431, "the first line is longer than \(limits.startLineBytes) bytes")
      }
      if byte == 0x0D, state == .startLine {
        state = .startLineEnd
        return
      }
      if byte == 0x20 {
        if previousWasSpace || state == .beginning { throw HTTP1Error("the first line has a space too many") }
        spacesInStartLine += 1
      } else if byte < 0x20 || byte == 0x7F {
        throw HTTP1Error("the first line contains a control character or ends without CR")
      }
      // The reason of a response is free text.
      previousWasSpace = byte == 0x20 && section == .request
      state = .startLine
    }
  }

  private mutating func beginLine(_ byte: UInt8) throws(HTTP1Error) {
    if byte == 0x0D {
      state = .sectionEnd
      return
    }
    fields += 1
    if fields > limits.fields { throw HTTP1Error(431, "more than \(limits.fields) header fields") }
    if HTTPCharacter.isSpace(byte) {
      throw HTTP1Error("a header line begins with a space: folded lines are not allowed")
    }
    guard HTTPCharacter.isToken(byte) else { throw HTTP1Error("a header line begins with a character not allowed") }
    state = .fieldName
  }

  private func expectLineFeed(_ byte: UInt8) throws(HTTP1Error) {
    if byte != 0x0A { throw HTTP1Error("CR without LF") }
  }

  private func tooLarge() -> HTTP1Error {
    HTTP1Error(431, "the header section is larger than \(limits.headBytes) bytes")
  }
}
