// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamClient
import RstreamConfig
import RstreamNet

typealias ErrorOut = UnsafeMutablePointer<OpaquePointer?>
typealias ObjectOut = UnsafeMutablePointer<OpaquePointer?>

/// An object that C knows by its address.
protocol CObject: AnyObject {}

extension CObject {
  /// The object at an address that C passed in; nothing for NULL.
  static func at(_ pointer: OpaquePointer?) -> Self? {
    pointer.map { Unmanaged<Self>.fromOpaque(UnsafeRawPointer($0)).takeUnretainedValue() }
  }

  /// The object that a caller must give.
  static func given(_ pointer: OpaquePointer?, _ argument: String) throws(Failure) -> Self {
    guard let object = at(pointer) else { throw invalid("\(argument) is NULL") }
    return object
  }

  /// The object's address, without a say in how long it lives.
  var pointer: OpaquePointer { OpaquePointer(Unmanaged.passUnretained(self).toOpaque()) }

  /// The object's address for an owner, who gives it back with `release`.
  func retained() -> OpaquePointer { OpaquePointer(Unmanaged.passRetained(self).toOpaque()) }

  static func release(_ pointer: OpaquePointer?) {
    guard let pointer else { return }
    Unmanaged<Self>.fromOpaque(UnsafeRawPointer(pointer)).release()
  }
}

/// Hands a new plain value to C.
func make(_ object: some CObject, _ out: ObjectOut?) -> Int32 {
  guard let out else { return -EINVAL }
  out.pointee = object.retained()
  return 0
}

/// Runs what a function does: the code it returns, and the error for the caller who wants to know more.
func attempt(_ error: ErrorOut? = nil, _ body: () throws(Failure) -> Void) -> Int32 {
  if let error { error.pointee = nil }
  do throws(Failure) {
    try body()
    return 0
  } catch let failure {
    if let error { error.pointee = ErrorObject(failure).retained() }
    return failure.code
  }
}

/// The refusal of a NULL, or of a string that is not UTF-8.
func invalid(_ argument: String) -> Failure {
  Failure(-EINVAL, "invalid argument: \(argument)")
}

/// A name that a caller must give.
func required(_ text: UnsafePointer<CChar>?, _ argument: String) throws(Failure) -> String {
  guard let text else { throw invalid("\(argument) is NULL") }
  guard let text = String(validatingCString: text) else { throw invalid("\(argument) is not UTF-8") }
  return text
}

/// A value that a caller may leave out.
func optional(_ text: UnsafePointer<CChar>?, _ argument: String) throws(Failure) -> String? {
  text == nil ? nil : try required(text, argument)
}

/// Runs something of the configuration, whose errors have the same codes under other names.
func configuring(_ body: () throws(ConfigError) -> Void) throws(Failure) {
  do { try body() } catch { throw Failure(error) }
}

/// Runs what a function answers with a number of 0 or more.
func answer(_ body: () throws(Failure) -> Int32) -> Int32 {
  do { return try body() } catch { return error.code }
}
