// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
import RstreamNet

/// A directory that belongs to this user and that nobody else can write to. Whoever holds one is alone with it: other
/// processes wait until it is closed.
struct StateDirectory: ~Copyable {
  static let lockTimeoutMilliseconds = 5000

  let path: String
  private let handle: OpaquePointer

  /// Opens the directory; it is made, with those above it, when it is not there.
  init(_ path: String) throws(Failure) {
    try StateDirectory.make(path)
    guard let handle = opendir(path) else { throw StateDirectory.failure("open the state directory", path, errno) }
    do throws(Failure) {
      try StateDirectory.check(dirfd(handle), path)
      try StateDirectory.lock(dirfd(handle), path)
    } catch {
      closedir(handle)
      throw error
    }
    self.path = path
    self.handle = handle
  }

  deinit { closedir(handle) }

  func path(of name: String) -> String { "\(path)/\(name)" }

  /// The content of a file of a few kilobytes; nothing when it is not there.
  func read(_ name: String) throws(Failure) -> [UInt8]? {
    guard let file = fopen(path(of: name), "re") else {
      if errno == ENOENT { return nil }
      throw StateDirectory.failure("read", path(of: name), errno)
    }
    defer { fclose(file) }
    var content = [UInt8](repeating: 0, count: 65_536)
    let count = fread(&content, 1, content.count, file)
    guard ferror(file) == 0, count < content.count else { throw StateDirectory.failure("read", path(of: name), EIO) }
    return Array(content[..<count])
  }

  /// Puts a file in place with mode 0600, whole or not at all.
  func write(_ name: String, _ content: [UInt8]) throws(Failure) {
    let temporary = path(of: ".\(name).\(RandomHex.text(bytes: 8))")
    let descriptor = rstream_open_create(temporary, 0o600)
    guard descriptor >= 0 else { throw StateDirectory.failure("make", temporary, -descriptor) }
    let isWritten = StateDirectory.writeAll(descriptor, content) && fsync(descriptor) == 0
    let number = errno
    Glibc.close(descriptor)
    guard isWritten, rename(temporary, path(of: name)) == 0 else {
      let number = isWritten ? errno : number
      unlink(temporary)
      throw StateDirectory.failure("write", path(of: name), number)
    }
  }

  private static func writeAll(_ descriptor: Int32, _ content: [UInt8]) -> Bool {
    var rest = content[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  private static func make(_ path: String) throws(Failure) {
    let parts = path.split(separator: "/", omittingEmptySubsequences: true)
    var prefix = path.hasPrefix("/") ? "" : "."
    for part in parts {
      prefix += "/\(part)"
      guard mkdir(prefix, 0o700) == 0 || errno == EEXIST || errno == EISDIR || errno == EROFS else {
        throw failure("make the directory", prefix, errno)
      }
    }
  }

  private static func check(_ descriptor: Int32, _ path: String) throws(Failure) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw failure("look at", path, errno) }
    guard status.st_uid == geteuid() || status.st_uid == 0 else {
      throw Failure(-EPERM, "state directory \(path): it belongs to another user; choose another directory")
    }
    guard status.st_mode & 0o022 == 0 else {
      let mode = String(status.st_mode & 0o7777, radix: 8)
      throw Failure(
        -EPERM, "state directory \(path): others can write to it (mode \(mode)); chmod go-w it or choose another")
    }
  }

  /// The lock ends with the descriptor, also when the process dies.
  private static func lock(_ descriptor: Int32, _ path: String) throws(Failure) {
    let pauseMilliseconds = 10
    for _ in 0..<lockTimeoutMilliseconds / pauseMilliseconds {
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return }
      guard errno == EWOULDBLOCK || errno == EINTR else { throw failure("lock", path, errno) }
      usleep(useconds_t(pauseMilliseconds * 1000))
    }
    throw Failure(-ETIMEDOUT, "state directory \(path): another process has kept it locked for 5 seconds")
  }

  private static func failure(_ attempt: String, _ path: String, _ number: Int32) -> Failure {
    Failure(-number, "\(attempt) \(path): \(String(cString: strerror(number)))")
  }
}
