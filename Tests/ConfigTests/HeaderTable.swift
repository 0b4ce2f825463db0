// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The rows of the tables that the public headers document settings in.
enum HeaderTable {
  /// First column (name) and the others, of every table row in include/rstream/<file>.
  static func rows(_ file: String) -> [[String]] {
    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let afterHeading = lines("/\(root)/include/rstream/\(file)").drop { !$0.hasPrefix(" * |-") }
    return afterHeading.prefix { !$0.hasPrefix(" */") }.compactMap { line in
      guard line.hasPrefix(" * | ") else { return nil }
      return line.dropFirst(3).split(separator: "|").map { cell in
        String(cell.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
      }.filter { !$0.isEmpty }
    }
  }

  private static func lines(_ path: String) -> [String] {
    guard let file = fopen(path, "r") else { return [] }
    defer { fclose(file) }
    var lines: [String] = []
    var buffer = [CChar](repeating: 0, count: 4096)
    while fgets(&buffer, Int32(buffer.count), file) != nil {
      lines.append(String(decoding: buffer.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
    return lines
  }
}
