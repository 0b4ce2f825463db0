// SPDX-License-Identifier: Apache-2.0

/// Why bytes are not HTTP/1, with the status that tells a client so. A parser that has thrown one stays unusable: where
/// the next message would begin is not known.
public struct HTTP1Error: Error, Equatable, Sendable {
  /// 400, 414, 431, 501 or 505. For responses it only says what kind of fault it is: the gateway answers 502.
  public let status: Int
  public let message: String

  init(_ message: String) { self.init(400, message) }

  init(_ status: Int, _ message: String) {
    self.status = status
    self.message = message
  }
}

/// How much of a message's head is taken before it is refused.
public struct HTTP1Limits: Sendable {
  /// Start line and all fields; at most 80,000, which is http_parser's own limit. Trailers have as much again.
  public var headBytes = 65_536
  public var startLineBytes = 32_768
  public var fields = 256

  public init() {}
}
