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

  /// Looks at bytes; returns how many belong to the section when it ends within them.
  mutating func scan(_ bytes: UnsafeRawBufferPointer) throws(HTTP1Error) -> Int? {
    // What is beyond the limit is not looked at.
    let count = min(bytes.count, limits.headBytes - total)
    var index = 0
    while index < count {
      switch state {
      case .fieldValue:
        while index < count, HTTPCharacter.isFieldValue(bytes[index]) { index += 1 }
        if index == count { break }
        guard bytes[index] == 0x0D else {
          throw HTTP1Error("a header value contains a control character or a line ends without CR")
        }
        index += 1
        state = .fieldEnd
      case .fieldName:
        while index < count, HTTPCharacter.isToken(bytes[index]) { index += 1 }
        if index == count { break }
        guard bytes[index] == UInt8(ascii: ":") else {
          throw HTTP1Error("a header name contains a character that is not allowed")
        }
        index += 1
        state = .fieldValue
      case .fieldEnd:
        try expectLineFeed(bytes[index])
        index += 1
        state = .lineBeginning
      case .lineBeginning:
        try beginLine(bytes[index])
        index += 1
      case .sectionEnd:
        try expectLineFeed(bytes[index])
        index += 1
        total += index
        return index
      case .beginning, .emptyLineBeforeRequest, .startLine, .startLineEnd:
        try scanStartLine(bytes[index], at: total + index)
        index += 1
      }
    }
    total += index
    if index < bytes.count { throw HTTP1Error(431, "the header section is larger than \(limits.headBytes) bytes") }
    return nil
  }

  private mutating func scanStartLine(_ byte: UInt8, at position: Int) throws(HTTP1Error) {
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
      if section == .response, position < Self.responsePrefix.count, byte != Self.responsePrefix[position] {
        throw HTTP1Error("a response does not begin with HTTP/")
      }
      if position >= limits.startLineBytes {
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
}
