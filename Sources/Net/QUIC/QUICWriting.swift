// SPDX-License-Identifier: Apache-2.0
import CQUIC
import CUV
import Glibc

/// Making packets: whatever streams, datagrams and the connection itself have to send goes into as few packets as
/// possible, and as many packets as possible into one call to the system.
extension QUICConnection {
  /// What the kernel takes at once: bytes, and packets (UDP_MAX_SEGMENTS).
  private static let batchBytes = 65_000
  private static let batchPackets = 64
  /// The most of a burst, however large the congestion window.
  private static let quantum = 32_000
  /// What one connection sends before others get their turn, in bursts (RFC 9002, section 7.7).
  private static let quantaPerTurn = 4

  /// Packets of one size that wait to be sent together.
  private struct Batch {
    var start = 0
    var end = 0
    var packets = 0
    var size = 0
    var ecn: UInt32 = 0
    /// Which of the two routes; the other one is for the next packet.
    var route = 0
    /// What the path is known to carry. Larger ones are probes and leave alone: the system may refuse them.
    var known: Int
  }

  /// Returns 0, an error of ngtcp2, or one of the path.
  func writePackets(_ raw: OpaquePointer) -> Int32 {
    guard !path.isBlocked else { return 0 }
    let scratch = loop.takeScratch()
    defer { loop.giveBackScratch(scratch) }
    guard let memory = scratch.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return 0 }
    depth += 1
    defer { depth -= 1 }
    let now = rstream_quic_now()
    let largest = min(ngtcp2_conn_get_max_tx_udp_payload_size(raw), Self.batchBytes)
    var batch = Batch(known: ngtcp2_conn_get_path_max_tx_udp_payload_size(raw))
    for _ in 0..<Self.quantaPerTurn {
      let quantum = Self.quantum(raw, largest)
      batch.start = 0
      batch.end = 0
      var isMore = true
      while isMore, batch.end + largest <= quantum {
        let status = addPacket(raw, to: &batch, memory, largest, now)
        if status < 0 { return status }
        isMore = status > 0
      }
      let status = send(&batch, memory)
      // Too early after these ngtcp2 makes no more packets. During the handshake that would be by a round trip it has
      // guessed: 26 ms for the client's second flight, however near the server is. Ten packets may always go at once.
      if batch.end > 0, isOpen { ngtcp2_conn_update_pkt_tx_time(raw, now) }
      if status < 0 || !isMore || path.isBlocked { return status }
    }
    schedule()
    return 0
  }

  /// How much is sent as one burst: a part of the congestion window, so that the peer reads and acknowledges one part while
  /// the next is made. ngtcp2's own quantum is up to the whole window, which makes both sides wait in turn where the path
  /// is short, and CUBIC in ngtcp2 0.12 lets the window grow to 2.89 times rate and shortest round trip only.
  private static func quantum(_ raw: OpaquePointer, _ largest: Int) -> Int {
    let share = Int(clamping: rstream_quic_congestion_window(raw) / 4)
    // Ten packets may always go at once (RFC 9002, section 7.7).
    return min(max(min(share, quantum), 10 * largest), batchBytes)
  }

  /// Makes a packet at the end of the batch. Returns its size, 0 when there is nothing to send now, or an error.
  private func addPacket(
    _ raw: OpaquePointer, to batch: inout Batch, _ memory: UnsafeMutablePointer<UInt8>, _ largest: Int, _ now: UInt64
  ) -> Int32 {
    let route = 1 - batch.route
    var info = ngtcp2_pkt_info()
    let written = Int32(clamping: makePacket(raw, routes + route, &info, memory + batch.end, largest, now))
    guard written > 0 else { return written }
    let status = add(Int(written), route, UInt32(info.ecn), to: &batch, memory)
    return status < 0 ? status : written
  }

  /// Adds a packet that lies at the end of the batch; sends what is full or does not go together.
  private func add(
    _ count: Int, _ route: Int, _ ecn: UInt32, to batch: inout Batch, _ memory: UnsafeMutablePointer<UInt8>
  )
    -> Int32
  {
    var status: Int32 = 0
    if batch.packets > 0 {
      let fits =
        count <= batch.size && ecn == batch.ecn
        && ngtcp2_path_eq(&routes[batch.route].path, &routes[route].path) != 0
      if !fits { status = send(&batch, memory) }
    }
    if batch.packets == 0 {
      batch.size = count
      batch.ecn = ecn
      batch.route = route
    }
    batch.end += count
    batch.packets += 1
    let isFull = count < batch.size || count > batch.known || batch.packets == Self.batchPackets
    if status == 0, isFull { status = send(&batch, memory) }
    return status
  }

  private func send(_ batch: inout Batch, _ memory: UnsafeMutablePointer<UInt8>) -> Int32 {
    guard batch.packets > 0 else { return 0 }
    let bytes = UnsafeRawBufferPointer(start: memory + batch.start, count: batch.end - batch.start)
    batch.start = batch.end
    batch.packets = 0
    return path.send(bytes, size: batch.size, ecn: batch.ecn, DatagramRoute(routes[batch.route].path))
  }

  /// Makes one packet. Returns its size, 0 when there is nothing to send now, or an error.
  private func makePacket(
    _ raw: OpaquePointer, _ route: UnsafeMutablePointer<ngtcp2_path_storage>, _ info: inout ngtcp2_pkt_info,
    _ room: UnsafeMutablePointer<UInt8>, _ size: Int, _ now: UInt64
  ) -> Int {
    prefersDatagram.toggle()
    var mayStream = true
    while true {
      if let datagram = firstDatagram, prefersDatagram || pending.count == 0 || !mayStream {
        var accepted: Int32 = 0
        var piece = ngtcp2_vec(
          base: UnsafeMutablePointer(mutating: datagram.baseAddress?.assumingMemoryBound(to: UInt8.self)),
          len: datagram.count)
        // ngtcp2 takes no empty piece, but no piece at all.
        let written = ngtcp2_conn_writev_datagram_versioned(
          raw, &route.pointee.path, NGTCP2_PKT_INFO_VERSION, &info, room, size, &accepted,
          UInt32(NGTCP2_WRITE_DATAGRAM_FLAG_MORE), 0, &piece, datagram.isEmpty ? 0 : 1, now)
        if accepted != 0 { removeDatagram(wasSent: true) }
        switch written {
        case Int(NGTCP2_ERR_WRITE_MORE): continue
        case Int(NGTCP2_ERR_INVALID_ARGUMENT), Int(NGTCP2_ERR_INVALID_STATE):
          // Larger than the peer takes, or it takes none.
          removeDatagram(wasSent: false)
          continue
        default: break
        }
        if written == 0, accepted == 0, datagram.count > maximumDatagram {
          // The path carries less than it did when the datagram was queued.
          removeDatagram(wasSent: false)
          continue
        }
        return written
      }
      if mayStream, let stream = pending.first {
        let written = writeStream(raw, stream, route, &info, room, size, now)
        switch written {
        case Int(NGTCP2_ERR_WRITE_MORE): continue
        case Int(NGTCP2_ERR_STREAM_DATA_BLOCKED):
          if ngtcp2_conn_get_max_data_left(raw) == 0 {
            mayStream = false
          } else {
            removePending()
            block(stream)
          }
          continue
        case Int(NGTCP2_ERR_STREAM_SHUT_WR), Int(NGTCP2_ERR_STREAM_NOT_FOUND):
          removePending()
          stopped.append(stream)
          continue
        default: return written
        }
      }
      return ngtcp2_conn_writev_stream_versioned(
        raw, &route.pointee.path, NGTCP2_PKT_INFO_VERSION, &info, room, size, nil,
        UInt32(NGTCP2_WRITE_STREAM_FLAG_NONE), -1, nil, 0, now)
    }
  }

  private func writeStream(
    _ raw: OpaquePointer, _ stream: QUICStream, _ route: UnsafeMutablePointer<ngtcp2_path_storage>,
    _ info: inout ngtcp2_pkt_info, _ room: UnsafeMutablePointer<UInt8>, _ size: Int, _ now: UInt64
  ) -> Int {
    withUnsafeTemporaryAllocation(of: ngtcp2_vec.self, capacity: 4) { vectors in
      let pieces = stream.pieces(vectors)
      let isLast = stream.wantsEnd && pieces.bytes == stream.queuedBytes
      var flags = UInt32(NGTCP2_WRITE_STREAM_FLAG_MORE)
      if isLast { flags |= UInt32(NGTCP2_WRITE_STREAM_FLAG_FIN) }
      guard stream.hasToWrite else {
        removePending()
        return Int(NGTCP2_ERR_WRITE_MORE)
      }
      var taken: ngtcp2_ssize = -1
      let written = ngtcp2_conn_writev_stream_versioned(
        raw, &route.pointee.path, NGTCP2_PKT_INFO_VERSION, &info, room, size, &taken, flags, stream.id,
        vectors.baseAddress, pieces.count, now)
      if taken >= 0 {
        stream.sent(taken, withEnd: isLast && taken == pieces.bytes)
        if stream.queuedBytes == 0 { drained.append(stream) }
        if stream.hasToWrite { pending.rotate() } else { removePending() }
      }
      return written
    }
  }

  private func removePending() {
    pending.first?.isPending = false
    pending.removeFirst()
  }

  /// Tells the owners of streams what came of their writes.
  func tellWriters() {
    tellDatagramRoom()
    guard !drained.isEmpty || !stopped.isEmpty else { return }
    let (drained, stopped) = (drained, stopped)
    self.drained.removeAll(keepingCapacity: true)
    self.stopped.removeAll(keepingCapacity: true)
    for stream in drained { stream.tellDrained() }
    for stream in stopped { stream.peerStopped() }
  }
}
