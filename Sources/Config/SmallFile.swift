// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc

/// A file that is read at once because it is small by nature.
enum SmallFile {
  static func read(_ path: String, limit: Int) throws(ConfigError) -> [UInt8] {
    let descriptor = unsafe rstream_open_read(path)
    guard descriptor >= 0 else { throw failure(path, -descriptor) }
    defer { close(descriptor) }
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16_384)
    while true {
      let count = unsafe Glibc.read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure(path, errno) }
      if count == 0 { return content }
      content.append(contentsOf: buffer[..<count])
      guard content.count <= limit else {
        throw ConfigError(.invalidConfig, "\(path): larger than the \(limit) bytes that are read")
      }
    }
  }

  private static func failure(_ path: String, _ number: Int32) -> ConfigError {
    let why = unsafe strerror(number).map { unsafe String(cString: $0) }
    return ConfigError(.unreadable(number), "read \(path): \(why ?? "error \(number)")")
  }
}
