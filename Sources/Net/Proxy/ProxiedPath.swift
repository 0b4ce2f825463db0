// SPDX-License-Identifier: Apache-2.0

/// A way for packets through a proxy, and the addresses that a connection over it may take for its ends.
struct ProxiedPath {
  typealias Completion = (Result<ProxiedPath, Failure>) -> Void

  let path: any DatagramPath
  let local: SocketAddress
  let remote: SocketAddress
}

/// A way through a proxy that is being opened. Time limits are the caller's.
protocol ProxiedOpening: AnyObject {
  /// Gives up without telling.
  func cancel()
}

extension ProxyServer {
  /// Opens a way for packets to a target.
  /// - Parameter onStep: told of the steps to the proxy
  func openPath(
    _ loop: Loop, to target: ProxyTarget, by path: NetworkPath, _ settings: QUICSettings,
    onStep: ((OutgoingConnection.Step) -> Void)?, _ completion: @escaping ProxiedPath.Completion
  ) throws(Failure) -> any ProxiedOpening {
    switch kind {
    case .socks5:
      return SOCKS5Association(loop, self, to: target, by: path, onStep: onStep, completion)
    case .http, .https:
      guard let connectUDP else {
        throw Failure(ErrorCode.proxy, "it carries no UDP: only https:// proxies with HTTP/3 and SOCKS5 proxies do")
      }
      return try ConnectUDPOpening(
        loop, self, connectUDP.get(), to: target, by: path, settings, onStep: onStep, completion)
    }
  }
}
