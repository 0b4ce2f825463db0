// SPDX-License-Identifier: Apache-2.0
import CRstream
import Glibc
import RstreamConfig
import RstreamNet

/// What a `rstream_config *` points to.
final class ConfigObject: CObject {
  var settings = ClientSettings()
  var lent = StableStrings()
}

/// What a `rstream_context *` points to.
final class ContextObject: CObject {
  private let context: ContextSummary
  var lent = StableStrings()

  init(_ context: ContextSummary) { self.context = context }

  func value(_ name: String) -> String? {
    switch name {
    case "name": context.name
    case "apiUrl": context.apiURL
    case "engine": context.engine
    case "projectEndpoint": context.projectEndpoint
    case "region": context.region
    case "selected": context.isSelected ? "true" : "false"
    default: nil
    }
  }
}

@_cdecl("rstream_config_new") @implementation
public func rstream_config_new(_ out: UnsafeMutablePointer<OpaquePointer?>?) -> Int32 {
  make(ConfigObject(), out)
}

@_cdecl("rstream_config_set") @implementation
public func rstream_config_set(
  _ config: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ value: UnsafePointer<CChar>?,
  _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  attempt(error) { () throws(Failure) in
    let object = try ConfigObject.given(config, "config")
    let name = try required(name, "name")
    let value = try optional(value, "the value of \(name)")
    try configuring { () throws(ConfigError) in try object.settings.set(name, value) }
  }
}

@_cdecl("rstream_config_get") @implementation
public func rstream_config_get(_ config: OpaquePointer?, _ name: UnsafePointer<CChar>?) -> UnsafePointer<CChar>? {
  guard let object = ConfigObject.at(config), let name = String(from: name) else { return nil }
  return object.lent.lend(name, object.settings.get(name))
}

@_cdecl("rstream_config_load") @implementation
public func rstream_config_load(_ config: OpaquePointer?, _ error: UnsafeMutablePointer<OpaquePointer?>?) -> Int32 {
  attempt(error) { () throws(Failure) in
    let object = try ConfigObject.given(config, "config")
    var notes: [String] = []
    try configuring { () throws(ConfigError) in
      notes = try object.settings.load(environmentVariable, home: homeDirectory())
    }
    for note in notes { Log.warn("config", note) }
  }
}

@_cdecl("rstream_config_contexts") @implementation
public func rstream_config_contexts(
  _ config: OpaquePointer?, _ cb: rstream_context_cb?, _ data: UnsafeMutableRawPointer?,
  _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  attempt(error) { () throws(Failure) in
    let object = try ConfigObject.given(config, "config")
    guard let cb else { throw invalid("cb is NULL") }
    var contexts: [ContextSummary] = []
    try configuring { () throws(ConfigError) in
      contexts = try object.settings.contexts(environmentVariable, home: homeDirectory())
    }
    for context in contexts {
      let lent = ContextObject(context)
      withExtendedLifetime(lent) { cb(lent.pointer, data) }
    }
  }
}

@_cdecl("rstream_context_get") @implementation
public func rstream_context_get(_ context: OpaquePointer?, _ name: UnsafePointer<CChar>?) -> UnsafePointer<CChar>? {
  guard let object = ContextObject.at(context), let name = String(from: name) else { return nil }
  return object.lent.lend(name, object.value(name))
}

@_cdecl("rstream_config_use_context") @implementation
public func rstream_config_use_context(
  _ config: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  attempt(error) { () throws(Failure) in
    let object = try ConfigObject.given(config, "config")
    let name = try required(name, "name")
    try configuring { () throws(ConfigError) in
      try object.settings.useContext(name, environmentVariable, home: homeDirectory())
    }
  }
}

@_cdecl("rstream_config_free") @implementation
public func rstream_config_free(_ config: OpaquePointer?) {
  ConfigObject.release(config)
}

/// A variable of the process; what is not UTF-8 is taken as it looks, so that its setting is refused and not ignored.
func environmentVariable(_ name: String) -> String? {
  getenv(name).map { String(cString: $0) }
}

/// The user's home directory, as HOME says or, without it, the user database.
private func homeDirectory() -> String? {
  if let home = environmentVariable("HOME"), !home.isEmpty { return home }
  return getpwuid(getuid())?.pointee.pw_dir.map { String(cString: $0) }
}
