// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// A tunnel's packet channel joined to a local UDP service. It goes on until one side ends or no packet has come for a
/// while, whatever happens to the tunnel, and ends with the client.
final class PacketRelay: ClientMember {
  /// How long a channel without packets is kept, in milliseconds: what a NAT owes UDP at least (RFC 4787, section 4.3).
  static let idleTimeout: UInt64 = 120_000

  private let client: Client
  private var splice: PacketSplice?
  private var idle: IdleDeadline?
  private let onEnd: Relay.End

  init(
    _ client: Client, _ packets: PacketChannel, _ local: PacketChannel, idleTimeout: UInt64 = PacketRelay.idleTimeout,
    _ onEnd: @escaping Relay.End
  ) {
    self.client = client
    self.onEnd = onEnd
    let splice = PacketSplice(packets, local) { [self] splice, failure in ended(splice, failure) }
    self.splice = splice
    idle = IdleDeadline(client.loop, after: idleTimeout, progress: { splice.packets }, { splice.close(nil) })
  }

  func clientIsClosing() {
    guard let splice else { return }
    splice.cut()
    client.loop.later { [self] in ended(splice, .clientClosed("forward")) }
  }

  private func ended(_ splice: PacketSplice, _ failure: Failure?) {
    guard self.splice != nil else { return }
    self.splice = nil
    idle?.close()
    idle = nil
    onEnd(splice.bytesFromA, splice.bytesFromB, failure)
    client.remove(self)
  }
}
