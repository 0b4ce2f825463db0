// SPDX-License-Identifier: Apache-2.0
import CRstream
import RstreamConfig
import RstreamNet

/// What a `rstream_engine_options *` points to.
final class EngineOptionsObject: CObject {
  var settings = EngineSettings()
  var lent = StableStrings()
}

@_cdecl("rstream_engine_options_new") @implementation
public func rstream_engine_options_new(_ out: UnsafeMutablePointer<OpaquePointer?>?) -> Int32 {
  make(EngineOptionsObject(), out)
}

@_cdecl("rstream_engine_options_set") @implementation
public func rstream_engine_options_set(
  _ options: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ value: UnsafePointer<CChar>?,
  _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  attempt(error) { () throws(Failure) in
    let object = try EngineOptionsObject.given(options, "options")
    let name = try required(name, "name")
    let value = try optional(value, "the value of \(name)")
    try configuring { () throws(ConfigError) in try object.settings.set(name, value) }
  }
}

@_cdecl("rstream_engine_options_get") @implementation
public func rstream_engine_options_get(
  _ options: OpaquePointer?, _ name: UnsafePointer<CChar>?
) -> UnsafePointer<CChar>? {
  guard let object = EngineOptionsObject.at(options), let name = String(from: name) else { return nil }
  return object.lent.lend(name, object.settings.get(name))
}

@_cdecl("rstream_engine_options_load_file") @implementation
public func rstream_engine_options_load_file(
  _ options: OpaquePointer?, _ path: UnsafePointer<CChar>?, _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  attempt(error) { () throws(Failure) in
    let object = try EngineOptionsObject.given(options, "options")
    guard let path = try optional(path, "path") ?? environmentVariable("RSTREAM_ENGINE_CONFIG"), !path.isEmpty else {
      return
    }
    try configuring { () throws(ConfigError) in try object.settings.loadFile(path) }
  }
}

@_cdecl("rstream_engine_options_load_environment") @implementation
public func rstream_engine_options_load_environment(
  _ options: OpaquePointer?, _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  attempt(error) { () throws(Failure) in
    let object = try EngineOptionsObject.given(options, "options")
    try configuring { () throws(ConfigError) in try object.settings.loadEnvironment(environmentVariable) }
  }
}

@_cdecl("rstream_engine_options_free") @implementation
public func rstream_engine_options_free(_ options: OpaquePointer?) {
  EngineOptionsObject.release(options)
}
