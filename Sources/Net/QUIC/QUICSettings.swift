// SPDX-License-Identifier: Apache-2.0

/// How QUIC connections behave. Times are in milliseconds, windows in bytes.
public struct QUICSettings: Sendable {
  public enum CongestionControl: String, Sendable {
    case cubic
    case bbr
  }

  /// Packets of this size pass everywhere (RFC 9000, section 14).
  static let smallestMaximum = 1200

  /// A connection is given up after this much silence; the smaller one of both ends' counts.
  public var idleTimeout: UInt64 = 30_000
  /// Silence after which an ack is asked for, so that neither the peer nor a NAT forgets the connection; 0 for never.
  public var keepAlive: UInt64 = 10_000
  public var handshakeTimeout: UInt64 = 10_000
  public var congestionControl = CongestionControl.cubic
  /// Streams of each kind that the peer may have open at once.
  public var streams: UInt64 = 16_384
  public var unidirectionalStreams: UInt64 = 0
  /// Of the streams that only the peer writes to, ngtcp2 0.12 keeps something until the connection ends: above so many that
  /// are over the peer gets no credit for more.
  public var keptStreams = 0
  /// Whether streams are told the peer's STOP_SENDING with its code (`QUICStreamDirections`).
  public var tellsStops = false
  /// A peer that reads no more of a stream may be silent on it for so long before it is given up.
  public var stopTimeout: UInt64 = 10_000
  /// Whether a server may open streams of both directions, too. Engines open none towards their clients.
  public var allowsServerStreams = false
  /// What a stream and a connection may send unread at first, and at most once they are read as fast as they send.
  public var streamWindow: UInt64 = 262_144
  public var largestStreamWindow: UInt64 = 8 << 20
  public var connectionWindow: UInt64 = 4 << 20
  public var largestConnectionWindow: UInt64 = 24 << 20
  /// Unread bytes of all streams above which a connection gets no more credit: up to here a stream that nobody reads
  /// stops no other.
  public var heldLimit = 16 << 20
  /// The largest packet that path MTU discovery tries.
  public var largestPacket = 1452
  /// The largest packet that the peer is to send.
  public var largestIncomingPacket: UInt64 = 65_527
  /// Whether packets grow to that by discovery; otherwise they have it from the start.
  public var discoversPacketSize = true
  /// Datagrams waiting to be sent; the oldest is dropped for one more. Those of packet channels wait in queues of their own.
  public var datagramQueue = 2 * PacketChannel.queueLimit
  /// A directory that gets one qlog file for each connection, for debugging.
  public var qlogDirectory: String?
  /// A file that gets the secrets of the connections (NSS key log format), for debugging.
  public var keyLogFile: String?

  public init() {}
}
