// SPDX-License-Identifier: Apache-2.0
import RstreamConfig

/// The host names that published tunnels can have.
///
/// They are `<label>.t.<engine host>`, and for an engine `<project>.<domain>` also `<slug>-<project>.t.<domain>`: the
/// official clients make such names on their own when the engine's host has a domain.
struct HostNamespace: Sendable {
  let engineHost: String
  private let suffix: String
  /// What follows the slug in the second form.
  private let projectSuffix: String?

  /// Takes the engine's host in lower case.
  init(engineHost: String) {
    self.engineHost = engineHost
    suffix = ".t.\(engineHost)"
    let parts = engineHost.split(separator: ".", maxSplits: 1)
    projectSuffix = parts.count == 2 ? "-\(parts[0]).t.\(parts[1])" : nil
  }

  /// Names for a certificate that covers the engine and every tunnel: the host, and a wildcard for each form.
  var certificateNames: [String] {
    let parts = engineHost.split(separator: ".", maxSplits: 1)
    return [engineHost, "*.t.\(engineHost)"] + (parts.count == 2 ? ["*.t.\(parts[1])"] : [])
  }

  /// Whether a normalized name is one that a tunnel could have.
  func contains(_ name: String) -> Bool {
    if name.hasSuffix(suffix) { return HostName.isLabel(name.utf8.dropLast(suffix.utf8.count)) }
    guard let projectSuffix, let dot = projectSuffix.firstIndex(of: "."), name.hasSuffix(projectSuffix) else {
      return false
    }
    let slug = name.utf8.dropLast(projectSuffix.utf8.count)
    return !slug.isEmpty && HostName.isLabel(Array(slug) + Array(projectSuffix[..<dot].utf8))
  }

  /// A name in lower case, without white space around it and without a trailing dot.
  static func normalized(_ text: String) -> String? {
    let trimmed = Array(text.utf8.drop { $0 == 0x20 }.reversed().drop { $0 == 0x20 }.reversed())
    let name = trimmed.last == UInt8(ascii: ".") ? trimmed.dropLast() : trimmed[...]
    return HostName.normalized(String(decoding: name, as: UTF8.self))
  }

  /// The full name that a tunnel gets for a requested one: a label alone, or a name of the namespace. Nothing when it can
  /// have neither.
  func fullName(of requested: String) -> String? {
    guard let name = HostNamespace.normalized(requested) else { return nil }
    let full = name.utf8.contains(UInt8(ascii: ".")) ? name : name + suffix
    return full.utf8.count <= 253 && contains(full) ? full : nil
  }
}
