// SPDX-License-Identifier: Apache-2.0
import RstreamNet

@testable import RstreamEngine

/// How a client cuts up what it sends first.
enum Crumbs {
  /// Segments of so many bytes.
  case bytes(Int)
  /// TLS records of so many bytes.
  case records(Int)
}

/// A port in front of the engine that passes a ClientHello on in crumbs, each in an iteration of the loop, and everything
/// after it as it comes.
final class CrumblingRelay {
  private let harness: Harness
  private let crumbs: Crumbs
  private var listener: Listener?
  private var ends: [Forwarder] = []

  var port: Int32 { Int32(listener?.address.port ?? 0) }

  init(_ harness: Harness, _ crumbs: Crumbs) throws {
    self.harness = harness
    self.crumbs = crumbs
    let engine = SocketAddress(.v4(0x7F00_0001), port: UInt16(harness.engine.port(of: "tls") ?? 0))
    listener = try Listener(harness.loop, on: SocketAddress(.v4(0x7F00_0001), port: 0)) { [unowned self] client in
      _ = SocketConnector(harness.loop, to: [engine]) { [self] result in
        guard let upstream = try? result.get() else { return client.reset() }
        ends += [Forwarder(client, to: upstream, crumbs), Forwarder(upstream, to: client, nil)]
      }
    }
  }

  func close() {
    listener?.close()
    for end in ends { end.source.reset() }
  }
}

private final class Forwarder: ByteChannelDelegate {
  let source: ByteChannel
  private let target: ByteChannel
  private var crumbs: Crumbs?
  private var pieces: [[UInt8]] = []

  init(_ source: ByteChannel, to target: ByteChannel, _ crumbs: Crumbs?) {
    self.source = source
    self.target = target
    self.crumbs = crumbs
    source.delegate = self
    source.readStart()
  }

  func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {
    guard let crumbs else { return target.write(bytes) }
    self.crumbs = nil
    let all = Array(bytes)
    switch crumbs {
    case .bytes(let size):
      pieces = stride(from: 0, to: all.count, by: size).map { Array(all[$0..<min($0 + size, all.count)]) }
    case .records(let size):
      // What comes first is one record: its type and version are repeated for each piece.
      let content = Array(all.dropFirst(5))
      pieces = stride(from: 0, to: content.count, by: size).map { start in
        let piece = content[start..<min(start + size, content.count)]
        return Array(all.prefix(3)) + [UInt8(piece.count >> 8), UInt8(piece.count & 255)] + piece
      }
    }
    sendNext()
  }

  private func sendNext() {
    guard !pieces.isEmpty else { return }
    target.write(pieces.removeFirst())
    source.loop.later { [self] in sendNext() }
  }

  func channelReceivedEnd(_ channel: ByteChannel) { target.shutdown() }
  func channelDrained(_ channel: ByteChannel) {}
  func channel(_ channel: ByteChannel, failed failure: Failure) { target.reset() }
}
