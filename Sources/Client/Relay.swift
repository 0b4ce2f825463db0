// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// A tunnel's stream joined to a local socket: a forwarded connection, or a stream that was turned into a descriptor.
/// It goes on until its ends close, whatever happens to the tunnel, and ends with the client.
final class Relay: ClientMember {
  typealias End = (_ bytesIn: UInt64, _ bytesOut: UInt64, Failure?) -> Void

  private let client: Client
  private var splice: Splice?
  private let onEnd: End?

  /// - Parameters:
  ///   - stream: the tunnel's side
  ///   - aEnded: the end of what the stream sends was read before
  init(_ client: Client, _ stream: ByteChannel, _ local: ByteChannel, aEnded: Bool, _ onEnd: End?) {
    self.client = client
    self.onEnd = onEnd
    splice = Splice(stream, local, aEnded: aEnded) { [self] splice, failure in ended(splice, failure) }
  }

  func clientIsClosing() {
    guard let splice else { return }
    splice.cut()
    client.loop.later { [self] in ended(splice, .clientClosed("forward")) }
  }

  private func ended(_ splice: Splice, _ failure: Failure?) {
    guard self.splice != nil else { return }
    self.splice = nil
    onEnd?(splice.bytesFromA, splice.bytesFromB, failure)
    client.remove(self)
  }
}
