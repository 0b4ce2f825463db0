// SPDX-License-Identifier: Apache-2.0
import RstreamWire

/// Why a tunnel gave no stream.
enum StreamFailure: Error, Equatable {
  /// There is no such tunnel, or no more.
  case notFound
  /// The owner refused it with this error, or too many streams wait for the owner already.
  case refused(PeerError)
  /// The owner did not deliver it in time.
  case timeout
  /// Whoever asks may not.
  case unauthorized
  /// The connection to the owner broke.
  case io

  /// What a dialer is told.
  var peerError: PeerError {
    switch self {
    case .notFound: PeerError(.tunnelNotFound, "There is no such tunnel.")
    case .refused(let error): PeerError(.serviceUnavailable, error.message ?? "The tunnel's owner refused the stream.")
    case .timeout: PeerError(.serviceUnavailable, "The tunnel's owner did not deliver the stream in time.")
    case .unauthorized: PeerError(.unauthorized, "The token does not permit streams of this tunnel.")
    case .io: PeerError(.serviceUnavailable, "The tunnel's owner went away.")
    }
  }
}
