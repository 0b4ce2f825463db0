// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// The parser that routes every connection of the engine before anything about it is known: no input may crash it, a
/// hello stays what it is whatever follows, and no prefix of a hello is called invalid.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let bytes = Array(UnsafeBufferPointer(start: data, count: count))
  guard case .complete(let hello) = parse(bytes) else { return 0 }
  guard parse(bytes + [22, 3, 3, 0, 1, 0]) == .complete(hello) else {
    fatalError("changed by what follows")
  }
  for end in stride(from: 0, to: count, by: max(1, count / 16)) {
    if case .invalid = parse(Array(bytes[..<end])) { fatalError("a prefix of a hello is invalid") }
  }
  return 0
}

private func parse(_ bytes: [UInt8]) -> ClientHelloReader.Outcome {
  var reader = ClientHelloReader()
  return bytes.withUnsafeBytes { reader.append($0) }
}
