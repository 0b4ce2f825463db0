// SPDX-License-Identifier: Apache-2.0
import RstreamNet
import RstreamWire

/// The heartbeats of a control channel: sends them, checks the engine's, and notices when the engine has gone.
final class Heartbeats {
  enum Mode: Equatable {
    /// Neither sent nor allowed.
    case off
    /// Sent empty, never answered: engines older than protocol 1.4.5.
    case legacy(interval: UInt32)
    /// Numbered, answered, and silence for `timeout` means that the engine is gone. Milliseconds.
    case negotiated(interval: UInt32, timeout: UInt32)
  }

  private let mode: Mode
  private let send: (Heartbeat) -> Void
  private var sendTimer: LoopTimer?
  private var deadline: SilenceDeadline?
  private var sent: UInt64 = 0
  private var acknowledged: UInt64 = 0

  /// - Parameter expired: the engine has been silent for too long; told how many milliseconds
  init(_ loop: Loop, _ mode: Mode, send: @escaping (Heartbeat) -> Void, expired: @escaping (UInt32) -> Void) {
    self.mode = mode
    self.send = send
    switch mode {
    case .off:
      break
    case .legacy(let interval):
      sendTimer = LoopTimer(loop) { [self] in self.send(Heartbeat()) }
      sendTimer?.start(after: UInt64(interval), every: UInt64(interval))
    case .negotiated(let interval, let timeout):
      sendTimer = LoopTimer(loop) { [self] in sendNext() }
      sendTimer?.start(after: UInt64(interval), every: UInt64(interval))
      deadline = SilenceDeadline(loop, after: UInt64(timeout)) { expired(timeout) }
    }
  }

  /// Sends the first heartbeat, once the channel can take it.
  func begin() {
    if case .negotiated = mode { sendNext() }
  }

  private func sendNext() {
    sent += 1
    send(Heartbeat(sequence: sent))
  }

  /// Any message proves that the engine is there.
  func messageReceived() {
    deadline?.heard()
  }

  /// Checks a heartbeat of the engine. Nil, or what is wrong with it.
  func receive(_ heartbeat: Heartbeat) -> String? {
    switch mode {
    case .off:
      return "a heartbeat came though heartbeats are off"
    case .legacy:
      return heartbeat == Heartbeat() ? nil : "a numbered heartbeat came though liveness was not negotiated"
    case .negotiated:
      guard heartbeat.sequence == 0 else { return "a heartbeat of the engine carries a sequence" }
      guard heartbeat.acknowledgement > acknowledged, heartbeat.acknowledgement <= sent else {
        return "heartbeat \(heartbeat.acknowledgement) was acknowledged after \(acknowledged), with \(sent) sent"
      }
      acknowledged = heartbeat.acknowledgement
      return nil
    }
  }

  func stop() {
    sendTimer?.close()
    sendTimer = nil
    deadline?.close()
    deadline = nil
  }
}
