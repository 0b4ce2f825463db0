// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire

/// Heartbeats of a control channel whose client asked for liveness: which number to acknowledge, and when silence means
/// that the client is gone.
struct Liveness {
  /// What is agreed to. Nil when the client did not ask, or asked for an interval that nobody uses: then heartbeats are the
  /// client's own business and none is ever sent to it.
  static func agreed(_ requested: ControlChannelLiveness?, patience: UInt32) -> ControlChannelLiveness? {
    guard let interval = requested?.heartbeatIntervalMS, (1...300_000).contains(interval) else { return nil }
    return ControlChannelLiveness(heartbeatIntervalMS: interval, heartbeatTimeoutMS: max(3 * interval, patience))
  }

  let timeout: UInt64
  private var newest: UInt64 = 0
  private var acknowledged: UInt64 = 0

  init(_ agreed: ControlChannelLiveness) { timeout = UInt64(agreed.heartbeatTimeoutMS) }

  mutating func received(_ heartbeat: Heartbeat) { newest = max(newest, heartbeat.sequence) }

  /// The acknowledgement to send now: numbers only grow, and the latest speaks for those before it.
  mutating func takeAcknowledgement() -> Heartbeat? {
    guard newest > acknowledged else { return nil }
    acknowledged = newest
    return Heartbeat(acknowledgement: newest)
  }
}
