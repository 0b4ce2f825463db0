// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// The plain HTTP listener, which redirects to https.
///
/// `serve` gets every connection that it accepts; the channel has no delegate and is not being read. What `serve` makes of
/// it is a `Session`, as in `EngineAPI`. `engine.publicPort` is the port to redirect to.
enum PlainHTTP {
  static func serve(_ channel: SocketChannel, _ engine: Engine) {
    channel.close()
  }
}
