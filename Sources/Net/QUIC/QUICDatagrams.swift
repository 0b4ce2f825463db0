// SPDX-License-Identifier: Apache-2.0
import CQUIC

/// Unreliable datagrams (RFC 9221).
extension QUICConnection {
  /// What a packet takes besides a datagram's bytes: the first byte, a packet number, the authentication tag, the frame's
  /// type and length. The peer's connection ID comes on top.
  private static let overhead = 1 + 4 + 16 + 3

  /// Bytes of the largest datagram that can be sent now; 0 when the peer takes none. It grows when path MTU discovery
  /// finds more.
  public var maximumDatagram: Int {
    guard let raw, isOpen, let parameters = ngtcp2_conn_get_remote_transport_params(raw) else { return 0 }
    let allowed = parameters.pointee.max_datagram_frame_size
    guard allowed > 3 else { return 0 }
    let packet = ngtcp2_conn_get_path_max_tx_udp_payload_size(raw)
    let id = ngtcp2_conn_get_dcid(raw)?.pointee.datalen ?? ConnectionID.limit
    return max(0, min(packet - Self.overhead - id, Int(clamping: allowed) - 3))
  }

  /// The connection, unless the peer takes no datagrams.
  public var takingDatagrams: QUICConnection? { maximumDatagram > 0 ? self : nil }

  /// Sends a datagram. False when it is larger than `maximumDatagram`: it is dropped and counted. When too many wait the
  /// oldest is dropped.
  @discardableResult
  public func send(datagram bytes: UnsafeRawBufferPointer) -> Bool {
    guard isOpen, bytes.count <= maximumDatagram else {
      datagrams.drop()
      return false
    }
    datagrams.append(bytes)
    schedule()
    return true
  }

  /// What is to be sent next: the connection's own, then those of its packet channels.
  var firstDatagram: UnsafeRawBufferPointer? { datagrams.first ?? packetChannels?.first }

  /// Takes that away; who waits for room is told afterwards, whatever has become of it.
  func removeDatagram(wasSent: Bool) {
    guard !datagrams.isEmpty else { return packetChannels?.removeFirst(wasSent: wasSent) ?? () }
    if isCrowded { wasCrowded = true }
    datagrams.removeFirst()
    if !wasSent { datagrams.drop() }
  }

  /// Tells those who wait for room.
  func tellDatagramRoom() {
    if wasCrowded, !isCrowded {
      wasCrowded = false
      onDatagramRoom?()
    }
    packetChannels?.tellSent()
  }

  /// Whether half of the room for waiting datagrams is taken; `onDatagramRoom` tells when there is more again.
  var isCrowded: Bool { datagrams.count >= settings.datagramQueue / 2 }

  /// Datagrams that were dropped here instead of being sent.
  public var droppedDatagrams: UInt64 { datagrams.dropped }
}
