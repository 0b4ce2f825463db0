// SPDX-License-Identifier: Apache-2.0
import Glibc

extension Timestamp {
  /// The present moment.
  public static var now: Timestamp {
    var clock = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &clock)
    return Timestamp(seconds: Int64(clock.tv_sec), nanos: Int32(truncatingIfNeeded: clock.tv_nsec))
  }

  /// The moment as RFC 3339 writes it, in UTC: "2026-08-15T10:00:00Z", with as many decimals as it takes. Nil when it is
  /// outside the years 1 to 9999 that google.protobuf.Timestamp knows.
  public var rfc3339: String? {
    guard (-62_135_596_800...253_402_300_799).contains(seconds), (0...999_999_999).contains(nanos) else { return nil }
    var clock = time_t(seconds)
    var utc = unsafe tm()
    guard unsafe gmtime_r(&clock, &utc) != nil else { return nil }
    let date = unsafe [
      Self.padded(Int(utc.tm_year) + 1900, 4), Self.padded(Int(utc.tm_mon) + 1, 2), Self.padded(Int(utc.tm_mday), 2),
    ]
    let time = unsafe [utc.tm_hour, utc.tm_min, utc.tm_sec].map { Self.padded(Int($0), 2) }
    var text = "\(date.joined(separator: "-"))T\(time.joined(separator: ":"))"
    if nanos != 0 {
      var fraction = Self.padded(Int(nanos), 9)
      while fraction.hasSuffix("0") { fraction.removeLast() }
      text += ".\(fraction)"
    }
    return text + "Z"
  }

  private static func padded(_ number: Int, _ width: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, width - text.count)) + text
  }
}
