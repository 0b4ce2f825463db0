// SPDX-License-Identifier: Apache-2.0

/// A version of the wire protocol, as peers announce it in `ClientDetails.protocolVersion`.
public struct ProtocolVersion: Equatable, Sendable, CustomStringConvertible {
  /// The version that this module speaks.
  public static let current = ProtocolVersion(major: 1, minor: 4, patch: 5)

  public let major: Int
  public let minor: Int
  public let patch: Int

  public init(major: Int, minor: Int, patch: Int = 0) {
    self.major = major
    self.minor = minor
    self.patch = patch
  }

  /// Reads MAJOR.MINOR or MAJOR.MINOR.PATCH: decimal numbers and nothing else.
  public init?(_ text: String) {
    var numbers: [Int] = []
    for part in text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
      guard part.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
        let number = Int(Substring(part))
      else { return nil }
      numbers.append(number)
    }
    guard numbers.count == 2 || numbers.count == 3 else { return nil }
    self.init(major: numbers[0], minor: numbers[1], patch: numbers.count == 3 ? numbers[2] : 0)
  }

  public var description: String { "\(major).\(minor).\(patch)" }

  /// True when a peer of this version can be talked to: later patches only add fields, and earlier minor versions lack
  /// some.
  public var isCompatible: Bool { major == 1 && (2...4).contains(minor) }

  /// The code to refuse a client with that announces `text`; nil to accept it.
  public static func refusal(of text: String?) -> PeerError.Code? {
    guard let text, !text.isEmpty else { return .protocolVersionMissing }
    guard let version = ProtocolVersion(text) else { return .protocolVersionInvalid }
    return version.isCompatible ? nil : .protocolVersionIncompatible
  }
}
