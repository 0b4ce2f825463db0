// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc

/// A file that is read at once because it is small by nature.
public enum SmallFile {
  public static func read(_ path: String, limit: Int) throws(Failure) -> [UInt8] {
    let descriptor = rstream_open_read(path)
    guard descriptor >= 0 else { throw .uv(descriptor, "read \(path)") }
    defer { close(descriptor) }
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16_384)
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw .errno("read \(path)") }
      if count == 0 { return content }
      content.append(contentsOf: buffer[..<count])
      guard content.count <= limit else {
        throw Failure(ErrorCode.invalidConfig, "read \(path): it is larger than the \(limit) bytes that are read")
      }
    }
  }
}
