// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc

/// The lock that everybody takes who writes a configuration file: <path>.lock, which is gone when nobody holds it.
enum ConfigFileLock {
  /// How long another writer is waited for, in milliseconds, and how long between looking.
  static let patience = 5_000
  private static let pause = 20

  /// Runs `body` while holding the lock; makes the file's directory when there is none.
  static func holding(
    _ path: String, patience: Int = patience, _ body: () throws(ConfigError) -> Void
  ) throws(ConfigError) {
    try makeDirectory(of: path)
    let lock = "\(path).lock"
    let descriptor = try take(lock, patience)
    defer {
      // While it is held: who waits for this very file sees that it is gone, and makes another one.
      unsafe unlink(lock)
      close(descriptor)
    }
    try body()
  }

  private static func take(_ lock: String, _ patience: Int) throws(ConfigError) -> Int32 {
    var waited = 0
    while true {
      let descriptor = unsafe rstream_open_lock(lock)
      guard descriptor >= 0 else { throw .system(-descriptor, "make \(lock)") }
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 {
        if isStill(lock, descriptor) { return descriptor }
        close(descriptor)
        continue
      }
      let reason = errno
      close(descriptor)
      guard reason == EWOULDBLOCK || reason == EINTR else { throw .system(reason, "lock \(lock)") }
      guard waited < patience else {
        throw ConfigError(
          .unreadable(EAGAIN), "lock \(lock): another program has held it for \(patience) ms; try again when it is done"
        )
      }
      usleep(UInt32(pause * 1000))
      waited += pause
    }
  }

  /// Whether the name still leads to the file that was locked.
  private static func isStill(_ path: String, _ descriptor: Int32) -> Bool {
    var named = stat()
    var locked = stat()
    guard unsafe stat(path, &named) == 0, unsafe fstat(descriptor, &locked) == 0 else { return false }
    return named.st_ino == locked.st_ino && named.st_dev == locked.st_dev
  }

  private static func makeDirectory(of path: String) throws(ConfigError) {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")), slash != path.utf8.startIndex else { return }
    let directory = String(path[..<slash])
    if unsafe mkdir(directory, 0o700) == 0 || errno == EEXIST { return }
    throw .system(errno, "make the directory \(directory)")
  }
}

/// Puts new content in the place of a file at once: readers see the old content or the new, never a part.
enum ConfigFileReplacement {
  static func write(_ bytes: [UInt8], to path: String) throws(ConfigError) {
    // A link stays a link.
    let target = resolved(path) ?? path
    let directory = target.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(target[...$0]) } ?? ""
    let temporary = "\(directory).rstream-config-\(String(UInt64.random(in: 0...UInt64.max), radix: 16)).tmp"
    let descriptor = unsafe rstream_open_create(temporary, 0o600)
    guard descriptor >= 0 else { throw .system(-descriptor, "make \(temporary)") }
    var failure: ConfigError?
    do { try fill(descriptor, bytes, temporary) } catch { failure = error }
    close(descriptor)
    if failure == nil, unsafe rename(temporary, target) != 0 { failure = .system(errno, "replace \(target)") }
    if let failure {
      unsafe unlink(temporary)
      throw failure
    }
  }

  private static func fill(_ descriptor: Int32, _ bytes: [UInt8], _ path: String) throws(ConfigError) {
    // Whatever the file mode creation mask says.
    guard fchmod(descriptor, 0o600) == 0 else { throw .system(errno, "protect \(path)") }
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw .system(errno, "write \(path)") }
      rest = rest.dropFirst(count)
    }
    guard fsync(descriptor) == 0 else { throw .system(errno, "write \(path)") }
  }

  private static func resolved(_ path: String) -> String? {
    guard let text = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(text) }
    return unsafe String(cString: text)
  }
}

extension ConfigError {
  /// What the operating system refused.
  static func system(_ number: Int32, _ attempt: String) -> ConfigError {
    let why = unsafe strerror(number).map { unsafe String(cString: $0) }
    return ConfigError(.unreadable(number), "\(attempt): \(why ?? "error \(number)")")
  }
}
