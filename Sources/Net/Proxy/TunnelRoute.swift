// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The ends of a way that has no addresses: packets in a tunnel travel from one name to another. What QUIC asks of them is
/// that they stay the same.
final class TunnelRoute {
  let local = SocketAddress(.v6(SIMD16(0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)), port: 1)
  let remote = SocketAddress(.v6(SIMD16(0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2)), port: 2)

  func lend(_ body: (DatagramRoute) -> Void) {
    local.withSockaddr { local, localLength in
      remote.withSockaddr { remote, remoteLength in
        body(
          DatagramRoute(
            local: UnsafeMutablePointer(mutating: local), localLength, remote: UnsafeMutablePointer(mutating: remote),
            remoteLength))
      }
    }
  }
}
