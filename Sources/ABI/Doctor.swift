// SPDX-License-Identifier: Apache-2.0
import CRstream
import Glibc
import RstreamClient
import RstreamNet

extension Finding.Status {
  fileprivate var code: rstream_doctor_status {
    switch self {
    case .pass: RSTREAM_DOCTOR_PASS
    case .warn: RSTREAM_DOCTOR_WARN
    case .fail: RSTREAM_DOCTOR_FAIL
    case .skip: RSTREAM_DOCTOR_SKIP
    }
  }
}

@_cdecl("rstream_doctor") @implementation
public func rstream_doctor(
  _ loop: OpaquePointer?, _ config: OpaquePointer?, _ on_check: rstream_doctor_check_cb?, _ on_end: rstream_doctor_cb?,
  _ data: UnsafeMutableRawPointer?, _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  attempt(error) { () throws(Failure) in
    let loop = try LoopHandle.given(loop, "loop")
    let config = try ConfigObject.given(config, "config")
    guard let on_check else { throw invalid("on_check is NULL") }
    guard let on_end else { throw invalid("on_end is NULL") }
    try loop.check("loop")
    _ = try Doctor(
      loop.loop, config.settings, environment: environmentVariable,
      onFinding: { finding in
        finding.check.rawValue.withCString { name in
          finding.detail.withCString { detail in
            guard let advice = finding.advice else {
              return on_check(name, finding.status.code, finding.microseconds, detail, nil, data)
            }
            advice.withCString { on_check(name, finding.status.code, finding.microseconds, detail, $0, data) }
          }
        }
      },
      onEnd: { on_end($0.code, data) })
  }
}
