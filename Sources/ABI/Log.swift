// SPDX-License-Identifier: Apache-2.0
import CRstream
import Glibc
import RstreamNet

@_cdecl("rstream_log_set") @implementation
public func rstream_log_set(_ level: Int32, _ cb: rstream_log_cb?, _ data: UnsafeMutableRawPointer?) -> Int32 {
  guard let level = LogLevel(rawValue: level) else { return -EINVAL }
  Log.set(level, cb, data)
  return 0
}
