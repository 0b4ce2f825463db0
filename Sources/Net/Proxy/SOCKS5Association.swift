// SPDX-License-Identifier: Apache-2.0

/// Asks a SOCKS5 proxy for a UDP relay (RFC 1928, section 6) and opens a socket towards it.
final class SOCKS5Association: Attempt<ProxiedPath>, ProxiedOpening, ByteChannelDelegate {
  private let loop: Loop
  private let proxy: ProxyServer
  private let target: ProxyTarget
  private let path: NetworkPath
  private let onStep: ((OutgoingConnection.Step) -> Void)?
  private var lookup: HostLookup?
  private var connector: SocketConnector?
  private var negotiation: ProxyHandshake?
  /// The relay lives as long as the connection it was asked for on.
  private var control: ByteChannel?

  init(
    _ loop: Loop, _ proxy: ProxyServer, to target: ProxyTarget, by path: NetworkPath,
    onStep: ((OutgoingConnection.Step) -> Void)?, _ completion: @escaping Completion
  ) {
    self.loop = loop
    self.proxy = proxy
    self.target = target
    self.path = path
    self.onStep = onStep
    super.init(completion)
    lookup = HostLookup(loop, proxy.endpoint, by: path) { [self] result in
      lookup = nil
      switch result {
      case .success(let addresses):
        onStep?(.lookedUp(addresses))
        connect(to: addresses)
      case .failure(let failure): finish(.failure(failure))
      }
    }
  }

  private func connect(to addresses: [SocketAddress]) {
    connector = SocketConnector(loop, to: addresses, policy: path.sockets) { [self] result in
      connector = nil
      switch result {
      case .success(let socket): associate(over: socket)
      case .failure(let failure): finish(.failure(failure))
      }
    }
  }

  private func associate(over socket: SocketChannel) {
    guard let peer = socket.peer else { return finish(.failure(Failure(ErrorCode.proxy, "it has gone at once"))) }
    onStep?(.connected(peer))
    do throws(Failure) {
      negotiation = ProxyHandshake(try SOCKS5Request.association(proxy), over: socket) { [self] result in
        negotiation = nil
        switch result {
        case .success(let open):
          control = open.channel
          open.channel.delegate = self
          open.channel.readStart()
          findRelay(open.bound, seenAt: peer)
        case .failure(let failure): finish(.failure(failure))
        }
      }
    } catch {
      socket.reset()
      finish(.failure(error))
    }
  }

  /// A proxy that names no address of its own means the one it was reached at.
  private func findRelay(_ bound: ProxyTarget?, seenAt proxy: SocketAddress) {
    guard let bound, bound.port > 0 else {
      return finish(.failure(Failure(ErrorCode.proxy, "it named no port to send UDP to")))
    }
    guard !["", "0.0.0.0", "::"].contains(bound.host) else {
      var relay = proxy
      relay.port = bound.port
      return open(relay)
    }
    if let relay = SocketAddress(literal: bound.host, port: bound.port) { return open(relay) }
    lookup = HostLookup(loop, ServerEndpoint(host: bound.host, port: bound.port), by: path) { [self] result in
      lookup = nil
      switch result {
      case .success(let addresses):
        guard let relay = addresses.first else { return }
        open(relay)
      case .failure(let failure): finish(.failure(failure))
      }
    }
  }

  private func open(_ relay: SocketAddress) {
    guard let control else { return }
    do throws(Failure) {
      let socket = try QUICSocket(loop, to: relay, path.sockets)
      self.control = nil
      do throws(Failure) {
        let opened = try SOCKS5Path(through: socket, to: target, keptBy: control)
        finish(.success(ProxiedPath(path: opened, local: socket.address, remote: relay)))
      } catch {
        socket.close()
        control.reset()
        throw error
      }
    } catch {
      finish(.failure(error))
    }
  }

  override func release() {
    lookup?.cancel()
    lookup = nil
    connector?.cancel()
    connector = nil
    negotiation?.cancel()
    negotiation = nil
    control?.reset()
    control = nil
  }

  // MARK: ByteChannelDelegate, until the path has taken the connection over

  func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {}

  func channelReceivedEnd(_ channel: ByteChannel) {
    finish(.failure(Failure(ErrorCode.proxy, "it ended the association at once")))
  }

  func channelDrained(_ channel: ByteChannel) {}

  func channel(_ channel: ByteChannel, failed failure: Failure) {
    control = nil
    finish(.failure(failure))
  }
}
