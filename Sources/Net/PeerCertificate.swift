// SPDX-License-Identifier: Apache-2.0

/// What a client has shown a server that asked for a certificate.
public enum PeerCertificate: Equatable, Sendable {
  case none
  /// Valid, for clients, and of one of the authorities that the server knows.
  case trusted
  /// Any other: its owner has the private key, and nobody vouches for the owner.
  case untrusted
}
