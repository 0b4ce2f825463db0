// SPDX-License-Identifier: Apache-2.0

/// Reads server-sent events (WHATWG HTML 9.2) out of pieces of bytes. Only their data counts here; what goes by the names
/// event, id and retry is left out.
struct EventStreamParser {
  struct TooLarge: Error, Equatable {}

  private let limit: Int
  private var line: [UInt8] = []
  private var data: [UInt8] = []
  private var hasData = false
  private var lastWasCR = false
  private var isFirstLine = true

  /// - Parameter limit: how many bytes an event, or a line, may have
  init(limit: Int) { self.limit = limit }

  /// Reads a piece and gives the events that end in it.
  mutating func feed(_ bytes: UnsafeRawBufferPointer) throws(TooLarge) -> [[UInt8]] {
    var events: [[UInt8]] = []
    for byte in bytes {
      let followsCR = lastWasCR
      lastWasCR = byte == 0x0D
      switch byte {
      case 0x0A where followsCR: break
      case 0x0A, 0x0D: if let event = try endLine() { events.append(event) }
      default:
        guard line.count < limit else { throw TooLarge() }
        line.append(byte)
      }
    }
    return events
  }

  /// The stream has ended as it should: an event that no empty line followed counts.
  mutating func finish() throws(TooLarge) -> [UInt8]? {
    if !line.isEmpty { _ = try endLine() }
    return try endLine()
  }

  /// An empty line ends an event.
  private mutating func endLine() throws(TooLarge) -> [UInt8]? {
    var text = line[...]
    if isFirstLine, text.starts(with: [0xEF, 0xBB, 0xBF]) { text = text.dropFirst(3) }
    isFirstLine = false
    defer { line.removeAll(keepingCapacity: line.count < 4096) }
    guard !text.isEmpty else {
      defer {
        data = []
        hasData = false
      }
      return hasData ? data : nil
    }
    let colon = text.firstIndex(of: UInt8(ascii: ":")) ?? text.endIndex
    guard text[..<colon].elementsEqual("data".utf8) else { return nil }
    var value = text[colon...].dropFirst()
    if value.first == 0x20 { value = value.dropFirst() }
    guard data.count + value.count < limit else { throw TooLarge() }
    if hasData { data.append(0x0A) }
    hasData = true
    data += value
    return nil
  }
}
