// SPDX-License-Identifier: Apache-2.0

/// What one check of a `Doctor` came to.
public struct Finding: Sendable {
  /// In the order in which they are made.
  public enum Check: String, CaseIterable, Sendable {
    case configuration
    case project
    case dns
    case tcp
    case proxy
    case tls
    case engine
    case clock
  }

  public enum Status: Sendable { case pass, warn, fail, skip }

  public let check: Check
  public let status: Status
  public let microseconds: UInt64
  public let detail: String
  /// Nothing where there is nothing to do.
  public let advice: String?
}
