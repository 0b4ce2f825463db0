// SPDX-License-Identifier: Apache-2.0

/// How long clients of HTTP are waited for, in milliseconds.
struct HTTPTimeouts {
  /// For the first request's head to arrive.
  var firstHead: UInt64
  /// For the next request, and for a client that stops in the middle of something.
  var idle: UInt64
}

extension Engine {
  var httpTimeouts: HTTPTimeouts {
    HTTPTimeouts(firstHead: handshakeTimeout, idle: UInt64(settings.httpIdleSeconds) * 1000)
  }
}
