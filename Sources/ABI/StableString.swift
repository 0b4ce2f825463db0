// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A string lent to C: its address stays the same while this object lives.
final class StableString {
  let pointer: UnsafePointer<CChar>?

  init(_ text: String) {
    pointer = UnsafePointer(strdup(text))
  }

  deinit { free(UnsafeMutablePointer(mutating: pointer)) }
}

/// Strings lent by name. A string stays where it is until it changes.
struct StableStrings {
  private var strings: [String: (text: String, stable: StableString)] = [:]

  /// Lends `text` under a name; nil takes the name's string away.
  mutating func lend(_ name: String, _ text: String?) -> UnsafePointer<CChar>? {
    guard let text else {
      strings[name] = nil
      return nil
    }
    if let lent = strings[name], lent.text == text { return lent.stable.pointer }
    let stable = StableString(text)
    strings[name] = (text, stable)
    return stable.pointer
  }
}

extension String {
  /// A string that a caller passed in; nothing for NULL and for what is not UTF-8.
  init?(from caller: UnsafePointer<CChar>?) {
    guard let caller else { return nil }
    self.init(validatingCString: caller)
  }
}
