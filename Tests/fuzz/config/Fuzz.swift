// SPDX-License-Identifier: Apache-2.0
import RstreamConfig

// Any bytes as a client's configuration file, with each way to choose a context of it, and as JSON of headers.

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: start, count: count))
  for environment in [[:], ["RSTREAM_CONTEXT": "a"], ["RSTREAM_API_URL": "https://a"], ["RSTREAM_ENGINE": "a"]] {
    check(input, environment)
  }
  let text = String(decoding: input, as: UTF8.self)
  check([], ["RSTREAM_CONTROL_PLANE_HEADERS": text, "RSTREAM_API_URL": text, "RSTREAM_REGION": text])
  return 0
}

private func check(_ yaml: [UInt8], _ environment: [String: String]) {
  var settings = ClientSettings()
  do {
    _ = try settings.load({ environment[$0] }, yaml: yaml, path: "f")
  } catch {
    if error.message.isEmpty { fatalError("nothing said") }
    if ClientSettings.names.contains(where: { settings.get($0) != nil }) { fatalError("changed in spite of an error") }
    return
  }
  _ = try? settings.validate(now: 0)
  // What was loaded is what a caller may set.
  for name in ClientSettings.names {
    guard let value = settings.get(name) else { continue }
    var again = ClientSettings()
    guard (try? again.set(name, value)) != nil, again.get(name) == value else { fatalError("\(name): \(value)") }
  }
}
