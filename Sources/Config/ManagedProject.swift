// SPDX-License-Identifier: Apache-2.0

/// A project that a control plane manages, by which its engine is found.
public struct ManagedProject: Equatable, Sendable {
  public let apiURL: APIURL
  /// The first label of the engine's host name.
  public let endpoint: String
  /// Nothing leaves the choice to the control plane.
  public let region: String?
}
