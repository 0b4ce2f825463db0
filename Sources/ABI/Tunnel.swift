// SPDX-License-Identifier: Apache-2.0
import CRstream
import Glibc
import RstreamClient
import RstreamNet

/// What a `rstream_tunnel *` points to.
final class TunnelHandle: EndingHandle {
  private let control: ControlHandle
  private let tunnel: Tunnel
  private let address: StableString
  private var properties = StableStrings()
  private lazy var propertyNames = tunnel.propertyNames.map { StableString($0) }

  init(_ tunnel: Tunnel, below control: ControlHandle) {
    self.control = control
    self.tunnel = tunnel
    address = StableString(tunnel.forwardingAddress)
    super.init(control.loop, below: control)
    tunnel.onEnd = { [self] failure in objectEnded(failure) }
  }

  override var closedCode: Int32 { ErrorCode.tunnelClosed }

  override func closeBelow(_ done: @escaping () -> Void) throws(Failure) { try tunnel.close(done) }

  override func ended() { tunnel.onEnd = nil }

  /// Where others reach the tunnel; lent.
  var forwardingAddress: UnsafePointer<CChar>? { address.pointer }

  /// A property as the engine confirmed it; lent.
  func property(_ name: String) -> UnsafePointer<CChar>? { properties.lend(name, tunnel.property(name)) }

  /// The name of a property as the engine confirmed it; lent.
  func propertyName(_ index: Int) -> UnsafePointer<CChar>? {
    propertyNames.indices.contains(index) ? propertyNames[index].pointer : nil
  }

  func listen(_ cb: rstream_stream_cb?, _ data: UnsafeMutableRawPointer?) throws(Failure) {
    guard let cb else { return try tunnel.listen(nil) }
    // Streams belong to the client: they outlive the tunnel.
    try tunnel.listen { [self] stream in cb(pointer, StreamHandle(stream, below: control.client).pointer, data) }
  }

  func listenPackets(_ cb: rstream_packets_cb?, _ data: UnsafeMutableRawPointer?) throws(Failure) {
    guard let cb else { return try tunnel.listenPackets(nil) }
    try tunnel.listenPackets { [self] packets in
      cb(pointer, PacketsHandle(packets, below: control.client).pointer, data)
    }
  }

  func forward(_ target: String, _ cb: rstream_forward_cb?, _ data: UnsafeMutableRawPointer?) throws(Failure) {
    guard let cb else { return try tunnel.forward(to: target, nil) }
    try tunnel.forward(to: target) { [self] event in
      // A forwarded connection may outlive the tunnel, whose owner then hears no more of it.
      if state != .ended { observe(event, cb, data) }
    }
  }

  private func observe(_ event: ForwardEvent, _ cb: rstream_forward_cb, _ data: UnsafeMutableRawPointer?) {
    switch event {
    case .opened(let peer):
      cb(pointer, Int32(RSTREAM_FORWARD_OPENED.rawValue), peer, 0, 0, nil, data)
    case .closed(let peer, let bytesIn, let bytesOut, let failure):
      let event = Int32(RSTREAM_FORWARD_CLOSED.rawValue)
      if let failure {
        failure.lend { cb(pointer, event, peer, bytesIn, bytesOut, $0, data) }
      } else {
        cb(pointer, event, peer, bytesIn, bytesOut, nil, data)
      }
    }
  }
}

@_cdecl("rstream_tunnel_property") @implementation
public func rstream_tunnel_property(_ tunnel: OpaquePointer?, _ name: UnsafePointer<CChar>?) -> UnsafePointer<CChar>? {
  guard let tunnel = TunnelHandle.at(tunnel), let name = String(from: name) else { return nil }
  return tunnel.property(name)
}

@_cdecl("rstream_tunnel_property_name") @implementation
public func rstream_tunnel_property_name(_ tunnel: OpaquePointer?, _ index: Int) -> UnsafePointer<CChar>? {
  TunnelHandle.at(tunnel)?.propertyName(index)
}

@_cdecl("rstream_tunnel_forwarding_address") @implementation
public func rstream_tunnel_forwarding_address(_ tunnel: OpaquePointer?) -> UnsafePointer<CChar>? {
  TunnelHandle.at(tunnel)?.forwardingAddress
}

@_cdecl("rstream_tunnel_listen") @implementation
public func rstream_tunnel_listen(
  _ tunnel: OpaquePointer?, _ cb: rstream_stream_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  attempt { () throws(Failure) in
    let tunnel = try TunnelHandle.given(tunnel, "tunnel")
    try tunnel.check("tunnel")
    try tunnel.listen(cb, data)
  }
}

@_cdecl("rstream_tunnel_forward") @implementation
public func rstream_tunnel_forward(
  _ tunnel: OpaquePointer?, _ target: UnsafePointer<CChar>?, _ cb: rstream_forward_cb?,
  _ data: UnsafeMutableRawPointer?, _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  attempt(error) { () throws(Failure) in
    let tunnel = try TunnelHandle.given(tunnel, "tunnel")
    let target = try required(target, "target")
    try tunnel.check("tunnel")
    try tunnel.forward(target, cb, data)
  }
}

@_cdecl("rstream_tunnel_on_end") @implementation
public func rstream_tunnel_on_end(
  _ tunnel: OpaquePointer?, _ cb: rstream_tunnel_end_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  attempt { () throws(Failure) in
    let tunnel = try TunnelHandle.given(tunnel, "tunnel")
    try tunnel.check("tunnel")
    tunnel.onEnd(cb, data)
  }
}

@_cdecl("rstream_tunnel_close") @implementation
public func rstream_tunnel_close(
  _ tunnel: OpaquePointer?, _ cb: rstream_close_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  TunnelHandle.at(tunnel)?.close(cb, data) ?? -EINVAL
}
