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

  var port: UInt16 { listener?.address.port ?? 0 }

  /// Opens a port: the wanted one, or any free one of the range.
  static func open(_ wanted: UInt16?, _ engine: Engine) -> Result<PublishedTCP, Refusal> {
    guard let range = engine.settings.tcpPortRange, let host = engine.tcpListenHost else {
      return .failure(Refusal(.featureNotAvailable, "This engine has no ports for published TCP tunnels."))
    }
    if let wanted {
      guard range.contains(wanted) else {
        return .failure(
          Refusal(.invalidRequest, "Port \(wanted) is outside of this engine's range \(range.first)-\(range.last)."))
      }
      do throws(Failure) {
        return .success(try PublishedTCP(engine, host, wanted))
      } catch {
        guard error.code == -EADDRINUSE else {
          Log.error("engine", error.message)
          return .failure(Refusal(.internal, "Port \(wanted) cannot be opened."))
        }
        return .failure(Refusal(.resourceConflict, "Port \(wanted) is already in use."))
      }
    }
    // A port that was just given up is not given to the next tunnel at once: its consumers may still come.
    let count = Int(range.last - range.first) + 1
    let start = Int.random(in: 0..<count)
    for offset in 0..<count {
      guard let port = UInt16(exactly: Int(range.first) + (start + offset) % count) else { continue }
      if let opened = try? PublishedTCP(engine, host, port) { return .success(opened) }
    }
    return .failure(Refusal(.capacityExhausted, "All ports for published TCP tunnels are in use."))
  }

  private init(_ engine: Engine, _ host: SocketAddress.Host, _ port: UInt16) throws(Failure) {
    self.engine = engine
    listener = try Listener(engine.loop, on: SocketAddress(host, port: port)) { [self] socket in
      accepted(socket)
    }
  }

  func close() {
    listener?.close()
    listener = nil
  }

  private func accepted(_ socket: SocketChannel) {
    guard engine.connections.admit(socket) else { return }
    guard let tunnel, tunnel.admits(socket.peer) else { return socket.reset() }
    ConsumerStream.open(tunnel, for: socket, engine)
  }
}
