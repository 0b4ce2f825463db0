// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// What a tunnel carries, on the tunnel's side or towards a local service.
enum Arrival {
  case stream(ByteChannel)
  case packets(PacketChannel)

  func reset() {
    switch self {
    case .stream(let channel): channel.reset()
    case .packets(let channel): channel.reset()
    }
  }
}
