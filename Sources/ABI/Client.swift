// SPDX-License-Identifier: Apache-2.0
import CRstream
import Glibc
import RstreamClient
import RstreamNet

/// What a `rstream_client *` points to.
final class ClientHandle: Handle {
  let client: Client

  init(_ client: Client, below loop: LoopHandle) {
    self.client = client
    super.init(loop.loop, below: loop)
  }

  override var closedCode: Int32 { ErrorCode.clientClosed }

  override func closeBelow(_ done: @escaping () -> Void) throws(Failure) { try client.close(done) }

  func connect(_ cb: @escaping rstream_connect_cb, _ data: UnsafeMutableRawPointer?) throws(Failure) {
    try client.connect { [self] result in
      switch result {
      case .success(let control): cb(ControlHandle(control, below: self).pointer, nil, data)
      case .failure(let failure): failure.lend { cb(nil, $0, data) }
      }
    }
  }

  func dial(_ target: String, _ cb: @escaping rstream_dial_cb, _ data: UnsafeMutableRawPointer?) throws(Failure) {
    try client.dial(target) { [self] result in
      switch result {
      case .success(let stream): cb(StreamHandle(stream, below: self).pointer, nil, data)
      case .failure(let failure): failure.lend { cb(nil, $0, data) }
      }
    }
  }

  func dialPackets(_ target: String, _ cb: @escaping rstream_dial_packets_cb, _ data: UnsafeMutableRawPointer?)
    throws(Failure)
  {
    try client.dialPackets(target) { [self] result in
      switch result {
      case .success(let packets): cb(PacketsHandle(packets, below: self).pointer, nil, data)
      case .failure(let failure): failure.lend { cb(nil, $0, data) }
      }
    }
  }
}

@_cdecl("rstream_client_new") @implementation
public func rstream_client_new(
  _ loop: OpaquePointer?, _ config: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?,
  _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  attempt(error) { () throws(Failure) in
    let loop = try LoopHandle.given(loop, "loop")
    let config = try ConfigObject.given(config, "config")
    guard let out else { throw invalid("out is NULL") }
    try loop.check("loop")
    out.pointee =
      ClientHandle(try Client(loop.loop, config.settings, environment: environmentVariable), below: loop).pointer
  }
}

@_cdecl("rstream_client_close") @implementation
public func rstream_client_close(
  _ client: OpaquePointer?, _ cb: rstream_close_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  ClientHandle.at(client)?.close(cb, data) ?? -EINVAL
}

@_cdecl("rstream_client_connect") @implementation
public func rstream_client_connect(
  _ client: OpaquePointer?, _ cb: rstream_connect_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  attempt { () throws(Failure) in
    let client = try ClientHandle.given(client, "client")
    guard let cb else { throw invalid("cb is NULL") }
    try client.check("client")
    try client.connect(cb, data)
  }
}

@_cdecl("rstream_client_dial") @implementation
public func rstream_client_dial(
  _ client: OpaquePointer?, _ nameOrID: UnsafePointer<CChar>?, _ cb: rstream_dial_cb?,
  _ data: UnsafeMutableRawPointer?
) -> Int32 {
  attempt { () throws(Failure) in
    let client = try ClientHandle.given(client, "client")
    let target = try required(nameOrID, "name_or_id")
    guard let cb else { throw invalid("cb is NULL") }
    try client.check("client")
    try client.dial(target, cb, data)
  }
}
