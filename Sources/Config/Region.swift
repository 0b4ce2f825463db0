// SPDX-License-Identifier: Apache-2.0

/// Names of regions.
public enum Region {
  /// The name in lower case; nothing for "auto", which leaves the choice to the control plane.
  public static func normalized(_ text: String) throws(ConfigError) -> String? {
    let name = HostName.lowercased(text.trimmed())
    if name.isEmpty || name == "auto" { return nil }
    guard name.utf8.count <= 64, let first = name.utf8.first, let last = name.utf8.last, isAlphanumeric(first),
      isAlphanumeric(last), name.utf8.allSatisfy({ isAlphanumeric($0) || "._-".utf8.contains($0) })
    else {
      throw ConfigError(
        .invalidRegion,
        "\(text.quoted()) is not a region; expected up to 64 letters, digits and inner dots, underscores and hyphens")
    }
    return name
  }
}
