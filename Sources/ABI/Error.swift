// SPDX-License-Identifier: Apache-2.0
import CCodes
import CRstream
import RstreamNet

/// What a `rstream_error *` points to.
final class ErrorObject: CObject {
  let failure: Failure
  private let message: StableString

  init(_ failure: Failure) {
    self.failure = failure
    message = StableString(failure.message)
  }

  /// Borrowed from the object.
  var text: UnsafePointer<CChar>? { message.pointer }
}

extension Failure {
  /// Lends this failure to a callback.
  func lend(_ call: (OpaquePointer?) -> Void) {
    let object = ErrorObject(self)
    withExtendedLifetime(object) { call(object.pointer) }
  }
}

@_cdecl("rstream_error_code") @implementation
public func rstream_error_code(_ error: OpaquePointer?) -> Int32 {
  ErrorObject.at(error)?.failure.code ?? 0
}

@_cdecl("rstream_error_name") @implementation
public func rstream_error_name(_ error: OpaquePointer?) -> UnsafePointer<CChar>? {
  ErrorObject.at(error).flatMap { rstream_err_name($0.failure.code) }
}

@_cdecl("rstream_error_message") @implementation
public func rstream_error_message(_ error: OpaquePointer?) -> UnsafePointer<CChar>? {
  ErrorObject.at(error)?.text
}

@_cdecl("rstream_error_engine_code") @implementation
public func rstream_error_engine_code(_ error: OpaquePointer?) -> Int32 {
  ErrorObject.at(error)?.failure.engineCode ?? 0
}

@_cdecl("rstream_error_copy") @implementation
public func rstream_error_copy(_ error: OpaquePointer?) -> OpaquePointer? {
  // An error never changes: its copy is one more owner.
  ErrorObject.at(error)?.retained()
}

@_cdecl("rstream_error_free") @implementation
public func rstream_error_free(_ error: OpaquePointer?) {
  ErrorObject.release(error)
}

@_cdecl("rstream_strerror") @implementation
public func rstream_strerror(_ code: Int32) -> UnsafePointer<CChar>? {
  if code == 0 { return staticText("success") }
  return rstream_code_text(code) ?? staticText("unknown error")
}

@_cdecl("rstream_err_name") @implementation
public func rstream_err_name(_ code: Int32) -> UnsafePointer<CChar>? {
  if code == 0 { return staticText("OK") }
  return rstream_code_name(code) ?? staticText("UNKNOWN")
}

/// A literal as C sees it.
private func staticText(_ literal: StaticString) -> UnsafePointer<CChar> {
  UnsafeRawPointer(literal.utf8Start).assumingMemoryBound(to: CChar.self)
}
