// SPDX-License-Identifier: Apache-2.0

/// DNS host names as settings and properties carry them.
public enum HostName {
  /// The name in lower case when it consists of DNS labels (letters, digits, inner hyphens; at most 63 bytes each and
  /// 253 in all), otherwise nothing. IPv4 addresses pass as well; a trailing dot does not.
  public static func normalized(_ text: String) -> String? {
    guard (1...253).contains(text.utf8.count) else { return nil }
    let labels = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard labels.allSatisfy({ isLabel($0) }) else { return nil }
    return lowercased(text)
  }

  /// Whether the bytes are one DNS label.
  public static func isLabel(_ label: some BidirectionalCollection<UInt8>) -> Bool {
    guard (1...63).contains(label.count), let first = label.first, let last = label.last else { return false }
    return isAlphanumeric(first) && isAlphanumeric(last) && label.allSatisfy { isAlphanumeric($0) || $0 == 0x2D }
  }

  /// ASCII letters in lower case; locale and Unicode stay out of it.
  public static func lowercased(_ text: String) -> String {
    String(decoding: text.utf8.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
  }
}
