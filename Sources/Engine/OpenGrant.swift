// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire

enum OpenPermission { case createStreams, createTunnels }
struct OpenGrant { func permits(_ p: OpenPermission) -> Bool { true } }
struct HostSuffix {
  let host: String
  func contains(_ name: String) -> Bool { name.hasSuffix(".t.\(host)") }
}
