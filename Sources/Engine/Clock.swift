// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamWire

/// The time of day, and time that passes.
enum Clock {
  static var now: Timestamp {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Timestamp(seconds: Int64(time.tv_sec), nanos: Int32(time.tv_nsec))
  }

  /// Seconds since 1970.
  static var seconds: Int64 { now.seconds }

  /// Milliseconds of a clock that nobody sets.
  static var uptime: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000 + UInt64(time.tv_nsec) / 1_000_000
  }
}
