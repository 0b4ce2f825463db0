// SPDX-License-Identifier: Apache-2.0
import Glibc

public enum LogLevel: Int32, Comparable, Sendable {
  case off = 0
  case error = 1
  case warn = 2
  case info = 3
  case debug = 4

  public static func < (a: LogLevel, b: LogLevel) -> Bool { a.rawValue < b.rawValue }

  public init?(name: String) {
    switch name {
    case "off": self = .off
    case "error": self = .error
    case "warn": self = .warn
    case "info": self = .info
    case "debug": self = .debug
    default: return nil
    }
  }

  var name: String {
    switch self {
    case .off: "off"
    case .error: "error"
    case .warn: "warn"
    case .info: "info"
    case .debug: "debug"
    }
  }
}

/// Log lines of the whole process. Callers never put a token, secret or key into one.
public enum Log {
  public typealias Sink =
    @convention(c) (Int32, UnsafePointer<CChar>?, UnsafePointer<CChar>?, UnsafeMutableRawPointer?) -> Void

  // Set before other threads use the library (log.h), read-only afterwards.
  nonisolated(unsafe) private static var level: LogLevel = levelFromEnvironment()
  nonisolated(unsafe) private static var sink: Sink?
  nonisolated(unsafe) private static var sinkData: UnsafeMutableRawPointer?

  public static func set(_ level: LogLevel, _ sink: Sink?, _ data: UnsafeMutableRawPointer?) {
    self.level = level
    self.sink = sink
    sinkData = data
  }

  public static func error(_ module: String, _ message: @autoclosure () -> String) { write(.error, module, message) }
  public static func warn(_ module: String, _ message: @autoclosure () -> String) { write(.warn, module, message) }
  public static func info(_ module: String, _ message: @autoclosure () -> String) { write(.info, module, message) }
  public static func debug(_ module: String, _ message: @autoclosure () -> String) { write(.debug, module, message) }

  @inline(__always)
  private static func write(_ level: LogLevel, _ module: String, _ message: () -> String) {
    if level <= self.level { emit(level, module, message()) }
  }

  private static func emit(_ level: LogLevel, _ module: String, _ message: String) {
    if let sink {
      sink(level.rawValue, module, message, sinkData)
      return
    }
    let line = Array("rstream \(level.name) \(module): \(message)\n".utf8)
    _ = line.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }

  private static func levelFromEnvironment() -> LogLevel {
    guard let value = getenv("RSTREAM_LOG") else { return .off }
    return LogLevel(name: String(cString: value)) ?? .off
  }
}
