// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// A connection or stream that is on its way and can be given up.
protocol ConnectionAttempt: AnyObject {
  /// Gives up without telling.
  func cancel()
}

extension OutgoingConnection: ConnectionAttempt {}

/// What carries the protocol rstrm/1: a byte channel for the control channel and for each stream.
protocol TunnelTransport: AnyObject {
  typealias Completion = (Result<ByteChannel, Failure>) -> Void
  typealias OnStep = (OutgoingConnection.Step) -> Void

  /// Whether what is connected next may be a QUIC connection, which carries datagrams beside its streams.
  var mayCarryDatagrams: Bool { get }

  /// Opens a byte channel to the configured engine.
  /// - Parameter onStep: when given, nothing that is known is made use of, and each step is told
  func connect(timeout: UInt64, onStep: OnStep?, _ done: @escaping Completion) -> any ConnectionAttempt

  /// The same, to another node, which proves its own name.
  func connect(redirectedTo endpoint: ServerEndpoint, timeout: UInt64, _ done: @escaping Completion)
    -> any ConnectionAttempt

  /// Goes to another engine from now on.
  func use(_ engine: ServerEndpoint, by path: NetworkPath)

  /// A control channel that this byte channel has carried is over.
  /// - Parameter isLost: nobody answers on its connection any more
  func controlEnded(_ channel: ByteChannel, isLost: Bool)

  /// Nobody will connect any more, and nobody uses what was opened.
  func finish()
}

extension Failure {
  /// What answered is no engine: it gets no token and is not waited for.
  static func notAnEngine(_ endpoint: ServerEndpoint) -> Failure {
    Failure(
      ErrorCode.tls,
      "\(endpoint.host):\(endpoint.port) did not agree on the protocol rstrm/1: it is not an rstream engine")
  }
}
