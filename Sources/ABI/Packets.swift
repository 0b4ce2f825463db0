// SPDX-License-Identifier: Apache-2.0
import CRstream
import Glibc
import RstreamClient
import RstreamNet

/// What a `rstream_packets *` points to.
final class PacketsHandle: Handle {
  private let packets: Packets
  private lazy var lentPeer = StableString(packets.peer)
  private lazy var lentID = StableString(packets.id)
  private lazy var lentPath = StableString(packets.path.rawValue)

  init(_ packets: Packets, below client: ClientHandle) {
    self.packets = packets
    super.init(client.loop, below: client)
  }

  override var closedCode: Int32 { ErrorCode.streamClosed }

  override func closeBelow(_ done: @escaping () -> Void) throws(Failure) { try packets.close(done) }

  override func ended() { packets.onDrain = nil }

  /// The address of the remote end; lent.
  var peer: UnsafePointer<CChar>? { lentPeer.pointer }

  /// The id the engine knows the channel by; lent.
  var id: UnsafePointer<CChar>? { lentID.pointer }

  /// What packets travel on; lent.
  var path: UnsafePointer<CChar>? { lentPath.pointer }

  var maximumSize: Int { packets.maximumSize }

  var queuedPackets: Int { packets.queuedPackets }

  func count(_ name: String) -> UInt64 {
    switch name {
    case "sent": packets.counters.sent
    case "received": packets.counters.received
    case "dropped_sending": packets.counters.droppedSending
    case "dropped_receiving": packets.counters.droppedReceiving
    default: 0
    }
  }

  func readStart(_ cb: @escaping rstream_packet_cb, _ data: UnsafeMutableRawPointer?) throws(Failure) {
    try packets.readStart { [self] packet, failure in
      // A handle that is closed while its client closes ends with that, and hears no more.
      guard state == .open else { return }
      if let packet {
        // An empty packet is not the end: its address is any but NULL.
        let bytes = packet.baseAddress ?? UnsafeRawPointer(pointer)
        cb(pointer, bytes.assumingMemoryBound(to: UInt8.self), packet.count, nil, data)
      } else if let failure {
        failure.lend { cb(pointer, nil, 0, $0, data) }
      } else {
        cb(pointer, nil, 0, nil, data)
      }
    }
  }

  func readStop() throws(Failure) { try packets.readStop() }

  func send(_ packet: UnsafeRawBufferPointer) throws(Failure) { try packets.send(packet) }

  func onDrain(_ cb: rstream_packets_drain_cb?, _ data: UnsafeMutableRawPointer?) {
    packets.onDrain = cb.map { cb in { [self] in if state == .open { cb(pointer, data) } } }
  }
}

@_cdecl("rstream_client_dial_packets") @implementation
public func rstream_client_dial_packets(
  _ client: OpaquePointer?, _ nameOrID: UnsafePointer<CChar>?, _ cb: rstream_dial_packets_cb?,
  _ data: UnsafeMutableRawPointer?
) -> Int32 {
  attempt { () throws(Failure) in
    let client = try ClientHandle.given(client, "client")
    let target = try required(nameOrID, "name_or_id")
    guard let cb else { throw invalid("cb is NULL") }
    try client.check("client")
    try client.dialPackets(target, cb, data)
  }
}

@_cdecl("rstream_tunnel_listen_packets") @implementation
public func rstream_tunnel_listen_packets(
  _ tunnel: OpaquePointer?, _ cb: rstream_packets_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  attempt { () throws(Failure) in
    let tunnel = try TunnelHandle.given(tunnel, "tunnel")
    try tunnel.check("tunnel")
    try tunnel.listenPackets(cb, data)
  }
}

@_cdecl("rstream_packets_read_start") @implementation
public func rstream_packets_read_start(
  _ packets: OpaquePointer?, _ cb: rstream_packet_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  attempt { () throws(Failure) in
    let packets = try PacketsHandle.given(packets, "packets")
    guard let cb else { throw invalid("cb is NULL") }
    try packets.check("packet channel")
    try packets.readStart(cb, data)
  }
}

@_cdecl("rstream_packets_read_stop") @implementation
public func rstream_packets_read_stop(_ packets: OpaquePointer?) -> Int32 {
  attempt { () throws(Failure) in
    let packets = try PacketsHandle.given(packets, "packets")
    try packets.check("packet channel")
    try packets.readStop()
  }
}

@_cdecl("rstream_packets_send") @implementation
public func rstream_packets_send(
  _ packets: OpaquePointer?, _ packet: UnsafeRawPointer?, _ length: Int,
  _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  attempt(error) { () throws(Failure) in
    let packets = try PacketsHandle.given(packets, "packets")
    guard packet != nil || length == 0 else { throw invalid("packet is NULL") }
    try packets.check("packet channel")
    // A len that is not an Int is one that exceeds every limit.
    try packets.send(UnsafeRawBufferPointer(start: packet, count: length < 0 ? Int.max : length))
  }
}

@_cdecl("rstream_packets_on_drain") @implementation
public func rstream_packets_on_drain(
  _ packets: OpaquePointer?, _ cb: rstream_packets_drain_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  attempt { () throws(Failure) in
    let packets = try PacketsHandle.given(packets, "packets")
    try packets.check("packet channel")
    packets.onDrain(cb, data)
  }
}

@_cdecl("rstream_packets_max_size") @implementation
public func rstream_packets_max_size(_ packets: OpaquePointer?) -> Int { PacketsHandle.at(packets)?.maximumSize ?? 0 }

@_cdecl("rstream_packets_queue_size") @implementation
public func rstream_packets_queue_size(_ packets: OpaquePointer?) -> Int {
  guard let packets = PacketsHandle.at(packets), packets.loop.isOnLoopThread else { return 0 }
  return packets.queuedPackets
}

@_cdecl("rstream_packets_count") @implementation
public func rstream_packets_count(_ packets: OpaquePointer?, _ name: UnsafePointer<CChar>?) -> UInt64 {
  guard let packets = PacketsHandle.at(packets), let name = String(from: name) else { return 0 }
  return packets.count(name)
}

@_cdecl("rstream_packets_path") @implementation
public func rstream_packets_path(_ packets: OpaquePointer?) -> UnsafePointer<CChar>? { PacketsHandle.at(packets)?.path }

@_cdecl("rstream_packets_peer") @implementation
public func rstream_packets_peer(_ packets: OpaquePointer?) -> UnsafePointer<CChar>? { PacketsHandle.at(packets)?.peer }

@_cdecl("rstream_packets_stream_id") @implementation
public func rstream_packets_stream_id(_ packets: OpaquePointer?) -> UnsafePointer<CChar>? {
  PacketsHandle.at(packets)?.id
}

@_cdecl("rstream_packets_close") @implementation
public func rstream_packets_close(
  _ packets: OpaquePointer?, _ cb: rstream_close_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  PacketsHandle.at(packets)?.close(cb, data) ?? -EINVAL
}
