// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamNet
import RstreamWire

/// What a client tells engines about itself.
struct ClientIdentity {
  static let agent = "librstream"
  static let channel = "sdk"

  private let os: String
  private let arch: String

  init() {
    var names = utsname()
    guard uname(&names) == 0 else {
      os = "linux"
      arch = ""
      return
    }
    os = Self.text(&names.sysname).lowercased()
    arch = Self.text(&names.machine)
  }

  func details(token: String?) -> ClientDetails {
    ClientDetails(
      agent: Self.agent, channel: Self.channel, version: LibraryVersion.text, os: os, arch: arch, token: token,
      protocolVersion: ProtocolVersion.current.description)
  }

  private static func text<T>(_ field: inout T) -> String {
    withUnsafeBytes(of: &field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}
