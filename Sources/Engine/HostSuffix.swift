// SPDX-License-Identifier: Apache-2.0
struct HostSuffix {
  let host: String
  func contains(_ name: String) -> Bool { name.hasSuffix(".t.\(host)") }
}
