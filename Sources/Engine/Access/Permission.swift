// SPDX-License-Identifier: Apache-2.0

/// What a token can allow here. Tokens name permissions of other parts of the system as well; these mean nothing to an
/// engine.
enum Permission: String, CaseIterable, Sendable {
  /// Opening tunnels on a control channel.
  case createTunnels = "tunnels.tunnels.create-delete"
  /// Dialing tunnels, and reaching published ones that ask for a token.
  case createStreams = "tunnels.streams.create-delete"
  /// Listing and watching clients and tunnels.
  case readResources = "tunnels.resources.read-only"

  /// What boundaries call it.
  var action: TunnelScopes.Action {
    switch self {
    case .createTunnels: .create
    case .createStreams: .connect
    case .readResources: .list
    }
  }
}
