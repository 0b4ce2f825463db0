// SPDX-License-Identifier: Apache-2.0
import CRstream
import RstreamConfig
import RstreamNet

/// What a `rstream_tunnel_options *` points to.
final class TunnelOptionsObject: CObject {
  var options = TunnelOptions()
}

@_cdecl("rstream_tunnel_options_new") @implementation
public func rstream_tunnel_options_new(_ out: UnsafeMutablePointer<OpaquePointer?>?) -> Int32 {
  make(TunnelOptionsObject(), out)
}

@_cdecl("rstream_tunnel_options_set") @implementation
public func rstream_tunnel_options_set(
  _ options: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ value: UnsafePointer<CChar>?,
  _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  attempt(error) { () throws(Failure) in
    let object = try TunnelOptionsObject.given(options, "options")
    let name = try required(name, "name")
    let value = try optional(value, "the value of \(name)")
    try configuring { () throws(ConfigError) in try object.options.set(name, value) }
  }
}

@_cdecl("rstream_tunnel_options_free") @implementation
public func rstream_tunnel_options_free(_ options: OpaquePointer?) {
  TunnelOptionsObject.release(options)
}
