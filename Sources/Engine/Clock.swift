// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamWire

/// The time of day.
enum Clock {
  static var now: Timestamp {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Timestamp(seconds: Int64(time.tv_sec), nanos: Int32(time.tv_nsec))
  }

  /// Seconds since 1970.
  static var seconds: Int64 { now.seconds }
}
