// SPDX-License-Identifier: Apache-2.0

/// Keeps secrets out of words that others have said: who is shown a token may repeat it, in an error for instance.
public struct Secrets {
  /// Shorter ones would be found in any text.
  private static let leastLength = 4
  private static let mark = Array("...".utf8)

  /// The longest first: one may be part of another.
  private let values: [[UInt8]]

  public init(_ values: [String?]) {
    self.values = values.compactMap { $0.map { Array($0.utf8) } }.filter { $0.count >= Self.leastLength }
      .sorted { $0.count > $1.count }
  }

  /// The text with dots in place of each secret.
  public func hidden(in text: String) -> String {
    guard !values.isEmpty else { return text }
    var rest = Array(text.utf8)[...]
    var kept: [UInt8] = []
    while let first = rest.first {
      if let found = values.first(where: { rest.starts(with: $0) }) {
        kept += Self.mark
        rest = rest.dropFirst(found.count)
      } else {
        kept.append(first)
        rest = rest.dropFirst()
      }
    }
    return String(decoding: kept, as: UTF8.self)
  }
}
