// SPDX-License-Identifier: Apache-2.0
import CQUIC
import CUV

/// Why a connection ends, as one end tells the other (RFC 9000, section 19.19).
public struct QUICClose: Equatable, Sendable {
  public enum Kind: Sendable { case application, transport }

  /// Reasons are cut there: they share a packet with little else.
  private static let reasonLimit = 1000

  public var kind: Kind
  public var code: UInt64
  public var reason: String

  public init(_ kind: Kind = .application, code: UInt64 = 0, reason: String = QUICConnection.closeReason) {
    self.kind = kind
    self.code = code
    self.reason = reason
  }

  /// The code of a server that takes no connection (RFC 9000, section 20.1).
  public static func refused(_ reason: String) -> QUICClose {
    QUICClose(.transport, code: UInt64(NGTCP2_CONNECTION_REFUSED), reason: reason)
  }

  public static func internalError(_ reason: String) -> QUICClose {
    QUICClose(.transport, code: UInt64(NGTCP2_INTERNAL_ERROR), reason: reason)
  }

  /// Abrupt, and no error.
  public static func noError(_ reason: String) -> QUICClose {
    QUICClose(.transport, code: UInt64(NGTCP2_NO_ERROR), reason: reason)
  }

  init(_ reason: inout rstream_quic_reason) {
    kind = rstream_quic_reason_is_application(&reason) != 0 ? .application : .transport
    code = reason.error_code
    self.reason = String(decoding: UnsafeBufferPointer(start: reason.reason, count: reason.reasonlen), as: UTF8.self)
  }

  func withReason(_ body: (inout rstream_quic_reason) -> Void) {
    var why = rstream_quic_reason()
    Array(reason.utf8.prefix(Self.reasonLimit)).withUnsafeBufferPointer { words in
      if kind == .application {
        rstream_quic_reason_application(&why, code, words.baseAddress, words.count)
      } else {
        rstream_quic_reason_transport(&why, code, words.baseAddress, words.count)
      }
      body(&why)
    }
  }

  /// The reason as it may stand in a log.
  fileprivate var words: String {
    let printable = String(reason.prefix(256)).filter { $0 >= " " && $0 != "\u{7F}" }
    return printable.isEmpty ? "" : ": \(printable)"
  }
}

/// What became of a connection, in words.
extension QUICConnection {
  func handshakeFailure(_ alert: UInt8) -> Failure {
    if !isServer, let reason = tls.verificationFailure {
      return Failure(ErrorCode.tls, "\(description): certificate not accepted: \(reason)")
    }
    return Failure(ErrorCode.tls, "\(description): TLS handshake: \(QUICTLSSession.alertName(alert))")
  }

  /// What the peer's CONNECTION_CLOSE says; nil when the connection has ended without one.
  func readClose() -> QUICClose? {
    guard let raw, !wasResetStatelessly else { return nil }
    var reason = rstream_quic_reason_received(raw)
    return QUICClose(&reason)
  }

  func failureOfPeer() -> Failure {
    if wasResetStatelessly {
      return Failure(UV_ECONNRESET.rawValue, "\(description): the peer has forgotten it (stateless reset)")
    }
    guard let close = closeOfPeer else { return Failure(UV_ECONNRESET.rawValue, "\(description): closed") }
    if close.kind == .application {
      return Failure(
        UV_ECONNRESET.rawValue, "\(description): closed by the peer with code \(close.code)\(close.words)")
    }
    if close.code >= 0x100, close.code <= 0x1FF {
      let alert = QUICTLSSession.alertName(UInt8(truncatingIfNeeded: close.code))
      return Failure(ErrorCode.tls, "\(description): the peer refused the handshake: \(alert)\(close.words)")
    }
    return Failure(
      UV_ECONNRESET.rawValue, "\(description): ended by the peer with transport error \(close.code)\(close.words)")
  }
}
