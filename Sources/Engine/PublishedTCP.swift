// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamConfig
import RstreamNet
import RstreamWire

/// The public port of a published tcp tunnel.
final class PublishedTCP {
  /// The tunnel that the port belongs to.
  weak var tunnel: Tunnel?
  private let engine: Engine
  private var listener: Listener?

  /// How many ports that other programs might have are tried for one tunnel.
  private static let attemptLimit = 128

  var port: UInt16 { listener?.address.port ?? 0 }

  /// Opens a port of the engine's range: the wanted one, or any that is free.
  static func open(_ wanted: UInt16?, _ engine: Engine) throws(Refusal) -> PublishedTCP {
    guard let range = engine.settings.tcpPortRange, let host = engine.tcpListenHost else {
      throw Refusal(.featureNotAvailable, "This engine has no ports for published TCP tunnels.")
    }
    if let wanted {
      do throws(Failure) {
        return try PublishedTCP(engine, host, wanted)
      } catch {
        if error.code == -EADDRINUSE { throw Refusal(.resourceConflict, "Port \(wanted) is already in use.") }
        Log.error("engine", error.message)
        throw Refusal(.internal, "Port \(wanted) cannot be opened.")
      }
    }
    // Not the first that is free: a port that was just given up may still have consumers who look for what was there.
    let count = Int(range.last - range.first) + 1
    let start = Int.random(in: 0..<count)
    var attempts = 0
    for offset in 0..<count where attempts < attemptLimit {
      guard let port = UInt16(exactly: Int(range.first) + (start + offset) % count), !engine.tcpPorts.contains(port)
      else { continue }
      attempts += 1
      if let opened = try? PublishedTCP(engine, host, port) { return opened }
    }
    throw Refusal(.capacityExhausted, "All ports for published TCP tunnels are in use.")
  }

  private init(_ engine: Engine, _ host: SocketAddress.Host, _ port: UInt16) throws(Failure) {
    self.engine = engine
    listener = try Listener(engine.loop, on: SocketAddress(host, port: port)) { [self] socket in
      accepted(socket)
    }
    engine.tcpPorts.insert(port)
  }

  func close() {
    engine.tcpPorts.remove(port)
    listener?.close()
    listener = nil
  }

  private func accepted(_ socket: SocketChannel) {
    guard engine.connections.admit(socket) else { return }
    guard let tunnel, tunnel.admits(socket.peer) else { return socket.reset() }
    ConsumerStream.open(tunnel, for: socket, engine)
  }
}
