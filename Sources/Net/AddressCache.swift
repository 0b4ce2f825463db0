// SPDX-License-Identifier: Apache-2.0
import CUV

/// Where endpoints were last reached. An agent opens a connection for every stream: looking the name up each time would
/// cost a round trip to the resolver, and could lead to another node than the one that holds the control channel.
public final class AddressCache {
  /// Milliseconds after which the name is looked up anew.
  private static let lifetime: UInt64 = 60_000
  /// An engine, and the proxy in front of it.
  private static let limit = 2

  private let loop: Loop
  private var entries: [(endpoint: ServerEndpoint, address: SocketAddress, until: UInt64)] = []

  public init(_ loop: Loop) { self.loop = loop }

  func address(of endpoint: ServerEndpoint) -> SocketAddress? {
    let now = uv_now(loop.uv)
    return entries.first { $0.endpoint == endpoint && now < $0.until }?.address
  }

  func remember(_ address: SocketAddress, for endpoint: ServerEndpoint) {
    if self.address(of: endpoint) == address { return }
    forget(endpoint)
    if entries.count == Self.limit { entries.removeFirst() }
    entries.append((endpoint, address, uv_now(loop.uv) + Self.lifetime))
  }

  public func forget(_ endpoint: ServerEndpoint) {
    entries.removeAll { $0.endpoint == endpoint }
  }
}
