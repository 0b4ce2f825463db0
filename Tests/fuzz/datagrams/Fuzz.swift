// SPDX-License-Identifier: Apache-2.0
import CUV
import Glibc

@testable import RstreamNet

// Any bytes as what comes beside or inside of QUIC datagrams: capsules of a stream, the settings of an HTTP/3 peer, the
// datagrams of packet channels, the ids of their streams, and the frames of packets.

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: start, count: count))
  guard let kind = input.first else { return 0 }
  let bytes = Array(input.dropFirst())
  switch kind {
  case UInt8(ascii: "c"): checkCapsules(bytes)
  case UInt8(ascii: "s"): checkSettings(bytes)
  case UInt8(ascii: "d"): checkChannels(bytes)
  case UInt8(ascii: "f"): checkFrames(bytes)
  default: checkID(bytes)
  }
  return 0
}

private func expect(_ condition: Bool, _ what: @autoclosure () -> String) {
  if !condition { fatalError(what()) }
}

/// However the stream is cut, the capsules are the same.
private func checkCapsules(_ stream: [UInt8]) {
  func datagrams(_ pieces: [[UInt8]]) -> [[UInt8]] {
    var reader = CapsuleReader()
    var found: [[UInt8]] = []
    for piece in pieces { piece.withUnsafeBytes { reader.append($0) { found.append(Array($0)) } } }
    return found
  }
  let whole = datagrams([stream])
  expect(datagrams(stream.map { [$0] }) == whole, "byte by byte the capsules are others")
  expect(whole.reduce(0) { $0 + $1.count + 2 } <= stream.count, "more came out than went in")
}

/// What is switched on changes nothing else about the settings.
private func checkSettings(_ stream: [UInt8]) {
  func read(_ bytes: [UInt8]) -> HTTP3Settings.Reading { bytes.withUnsafeBytes { HTTP3Settings.read($0) } }
  guard case .settings(let settings) = read(stream),
    let amended = stream.withUnsafeBytes({ HTTP3Settings.enablingDatagrams($0) })
  else { return }
  // The amended frame may have become longer than what is read.
  guard case .settings(let again) = read(amended) else { return }
  expect(again.enablesConnectProtocol == settings.enablesConnectProtocol, "other settings: \(again)")
}

/// A packet that is cut off holds no other stops than the whole one.
private func checkFrames(_ packet: [UInt8]) {
  func stops(_ bytes: ArraySlice<UInt8>) -> [StopSending] {
    bytes.withUnsafeBytes { bytes in
      var frames = QUICFrames(bytes)
      var found: [StopSending] = []
      while let stop = frames.nextStop() { found.append(stop) }
      return found
    }
  }
  let all = stops(packet[...])
  expect(all.count * 3 <= packet.count, "\(all.count) frames in \(packet.count) bytes")
  expect(all.starts(with: stops(packet.prefix(packet.count / 2))), "other stops in the first half")
}

private func checkID(_ bytes: [UInt8]) {
  let text = String(decoding: bytes, as: UTF8.self)
  guard let id = DatagramChannelID(streamID: text) else { return }
  let written = id.withBytes { Array($0) }
  expect(written.withUnsafeBytes { DatagramChannelID($0) } == id, "another id")
}

// MARK: Datagrams of packet channels

private final class NoPath: DatagramPath {
  let largestPacket = 1200
  let isBlocked = false
  var receiver: (any DatagramReceiver)?
  func send(_ packets: UnsafeRawBufferPointer, size: Int, ecn: UInt32, _ route: DatagramRoute) -> Int32 { 0 }
  func close() {}
}

private final class Listener: PacketChannelDelegate {
  var received: [[UInt8]] = []
  func packetChannel(_ channel: PacketChannel, received packet: UnsafeRawBufferPointer) {
    received.append(Array(packet))
    if packet.first == 0xFF { channel.close() }
  }
  func packetChannelPaused(_ channel: PacketChannel) {}
  func packetChannelDrained(_ channel: PacketChannel) {}
  func packetChannelEnded(_ channel: PacketChannel) {}
  func packetChannel(_ channel: PacketChannel, failed failure: Failure) {}
}

nonisolated(unsafe) private let connection: QUICConnection? = {
  var settings = TLSContext.ClientSettings()
  settings.skipsVerification = true
  // The handshake goes on as long as the fuzzing: nobody answers.
  var patience = QUICSettings()
  patience.handshakeTimeout = 1 << 40
  guard let loop = try? Loop.make(), let address = SocketAddress(literal: "127.0.0.1", port: 1),
    let credentials = try? QUICCredentials(client: settings)
  else { return nil }
  return try? QUICConnection(
    client: credentials, over: NoPath(), local: address, remote: address, serverName: "localhost", alpn: ["x"], loop,
    patience)
}()

/// The first byte of each piece is its length; two channels take what is theirs and nothing else.
private func checkChannels(_ bytes: [UInt8]) {
  guard let channels = connection?.datagramChannels else { fatalError("no connection") }
  let listeners = [Listener(), Listener()]
  let ids = ["000000000000000000000000", "ffffffffffffffffffffffff"]
  var open: [QUICPacketChannel] = []
  for (id, listener) in zip(ids, listeners) {
    guard let id = DatagramChannelID(streamID: id), let channel = try? channels.open(id) else {
      fatalError("no channel")
    }
    channel.delegate = listener
    open.append(channel)
  }
  open[0].readStart()
  var expected: [[UInt8]] = []
  var isOpen = true
  var rest = bytes[...]
  while let size = rest.popFirst() {
    let datagram = Array(rest.prefix(Int(size)))
    rest = rest.dropFirst(Int(size))
    datagram.withUnsafeBytes { channels.received($0) }
    guard isOpen, datagram.count >= 12, datagram.prefix(12).allSatisfy({ $0 == 0 }) else { continue }
    expected.append(Array(datagram.dropFirst(12)))
    isOpen = datagram.dropFirst(12).first != 0xFF
  }
  expect(listeners[0].received == expected, "other packets")
  expect(listeners[1].received.isEmpty, "told without being asked")
  for channel in open { channel.close() }
  if let loop = connection?.loop { uv_run(loop.uv, UV_RUN_NOWAIT) }
}
