// SPDX-License-Identifier: Apache-2.0
import CRstream
import Glibc
import RstreamEngine
import RstreamNet

/// What a `rstream_engine *` points to.
final class EngineHandle: Handle {
  private let engine: Engine
  private var lent = StableStrings()

  init(_ engine: Engine, below loop: LoopHandle) {
    self.engine = engine
    super.init(loop.loop, below: loop)
  }

  override var closedCode: Int32 { ErrorCode.engineClosed }

  override func closeBelow(_ done: @escaping () -> Void) throws(Failure) { try engine.close(done) }

  func start() throws(Failure) { try engine.start() }

  func port(of listener: String) throws(Failure) -> Int32 {
    guard let port = engine.port(of: listener) else { throw invalid("there is no listener called \(listener)") }
    return port
  }

  /// What clients need to know; lent.
  func info(_ name: String) -> UnsafePointer<CChar>? { lent.lend(name, engine.info(name)) }

  func stop(_ cb: rstream_engine_stop_cb?, _ data: UnsafeMutableRawPointer?) throws(Failure) {
    try engine.stop { [self] in
      if state != .ended { cb?(pointer, data) }
    }
  }
}

@_cdecl("rstream_engine_new") @implementation
public func rstream_engine_new(
  _ loop: OpaquePointer?, _ options: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?,
  _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  attempt(error) { () throws(Failure) in
    let loop = try LoopHandle.given(loop, "loop")
    let options = try EngineOptionsObject.given(options, "options")
    guard let out else { throw invalid("out is NULL") }
    try loop.check("loop")
    out.pointee = EngineHandle(try Engine(loop.loop, options.settings), below: loop).pointer
  }
}

@_cdecl("rstream_engine_start") @implementation
public func rstream_engine_start(_ engine: OpaquePointer?, _ error: UnsafeMutablePointer<OpaquePointer?>?) -> Int32 {
  attempt(error) { () throws(Failure) in
    let engine = try EngineHandle.given(engine, "engine")
    try engine.check("engine")
    try engine.start()
  }
}

@_cdecl("rstream_engine_port") @implementation
public func rstream_engine_port(_ engine: OpaquePointer?, _ listener: UnsafePointer<CChar>?) -> Int32 {
  answer { () throws(Failure) in
    let engine = try EngineHandle.given(engine, "engine")
    let listener = try required(listener, "listener")
    try engine.check("engine")
    return try engine.port(of: listener)
  }
}

@_cdecl("rstream_engine_info") @implementation
public func rstream_engine_info(_ engine: OpaquePointer?, _ name: UnsafePointer<CChar>?) -> UnsafePointer<CChar>? {
  guard let engine = EngineHandle.at(engine), let name = String(from: name) else { return nil }
  return engine.info(name)
}

@_cdecl("rstream_engine_stop") @implementation
public func rstream_engine_stop(
  _ engine: OpaquePointer?, _ cb: rstream_engine_stop_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  attempt { () throws(Failure) in
    let engine = try EngineHandle.given(engine, "engine")
    try engine.check("engine")
    try engine.stop(cb, data)
  }
}

@_cdecl("rstream_engine_close") @implementation
public func rstream_engine_close(
  _ engine: OpaquePointer?, _ cb: rstream_close_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  EngineHandle.at(engine)?.close(cb, data) ?? -EINVAL
}
