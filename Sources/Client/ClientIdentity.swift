// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamWire

/// What a client tells engines about itself.
struct ClientIdentity {
  static let agent = "librstream"
  static let channel = "sdk"
  /// The version of rstream/version.h, which a test compares.
  static let version = "1.0.0"

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
      agent: Self.agent, channel: Self.channel, version: Self.version, os: os, arch: arch, token: token,
      protocolVersion: ProtocolVersion.current.description)
  }

  private static func text<T>(_ field: inout T) -> String {
    withUnsafeBytes(of: &field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}
