// SPDX-License-Identifier: Apache-2.0
import CRstream
import Glibc
import RstreamClient
import RstreamNet

/// What a `rstream_control *` points to.
final class ControlHandle: EndingHandle {
  let client: ClientHandle
  private let control: ControlChannel
  private let clientID: StableString
  private var details = StableStrings()

  init(_ control: ControlChannel, below client: ClientHandle) {
    self.client = client
    self.control = control
    clientID = StableString(control.clientID)
    super.init(client.loop, below: client)
    control.onEnd = { [self] failure in objectEnded(failure) }
  }

  override var closedCode: Int32 { ErrorCode.controlClosed }

  override func closeBelow(_ done: @escaping () -> Void) throws(Failure) { try control.close(done) }

  override func ended() { control.onEnd = nil }

  /// The id the engine gave; lent.
  var id: UnsafePointer<CChar>? { clientID.pointer }

  /// What the engine told about itself; lent.
  func detail(_ name: String) -> UnsafePointer<CChar>? {
    let details = control.serverDetails
    let text: String? =
      switch name {
      case "agent": details.agent
      case "channel": details.channel
      case "version": details.version
      case "plan": details.plan
      case "provider": details.provider
      case "region": details.region
      case "update": details.update
      default: nil
      }
    return self.details.lend(name, text)
  }

  func createTunnel(
    _ options: TunnelOptionsObject, _ cb: @escaping rstream_create_tunnel_cb, _ data: UnsafeMutableRawPointer?
  ) throws(Failure) {
    try control.createTunnel(options.options) { [self] result in
      switch result {
      case .success(let tunnel): cb(TunnelHandle(tunnel, below: self).pointer, nil, data)
      case .failure(let failure): failure.lend { cb(nil, $0, data) }
      }
    }
  }
}

@_cdecl("rstream_control_on_end") @implementation
public func rstream_control_on_end(
  _ control: OpaquePointer?, _ cb: rstream_control_end_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  attempt { () throws(Failure) in
    let control = try ControlHandle.given(control, "control")
    try control.check("control channel")
    control.onEnd(cb, data)
  }
}

@_cdecl("rstream_control_client_id") @implementation
public func rstream_control_client_id(_ control: OpaquePointer?) -> UnsafePointer<CChar>? {
  ControlHandle.at(control)?.id
}

@_cdecl("rstream_control_server_detail") @implementation
public func rstream_control_server_detail(
  _ control: OpaquePointer?, _ name: UnsafePointer<CChar>?
) -> UnsafePointer<CChar>? {
  guard let control = ControlHandle.at(control), let name = String(from: name) else { return nil }
  return control.detail(name)
}

@_cdecl("rstream_control_close") @implementation
public func rstream_control_close(
  _ control: OpaquePointer?, _ cb: rstream_close_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  ControlHandle.at(control)?.close(cb, data) ?? -EINVAL
}

@_cdecl("rstream_control_create_tunnel") @implementation
public func rstream_control_create_tunnel(
  _ control: OpaquePointer?, _ options: OpaquePointer?, _ cb: rstream_create_tunnel_cb?,
  _ data: UnsafeMutableRawPointer?, _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  attempt(error) { () throws(Failure) in
    let control = try ControlHandle.given(control, "control")
    guard let cb else { throw invalid("cb is NULL") }
    try control.check("control channel")
    try control.createTunnel(TunnelOptionsObject.at(options) ?? TunnelOptionsObject(), cb, data)
  }
}
