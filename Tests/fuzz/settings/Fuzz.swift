// SPDX-License-Identifier: Apache-2.0
import RstreamConfig

// Any bytes as an engine's configuration file, and as the value of every setting and property.

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: start, count: count))
  checkFile(input)
  let text = String(decoding: input, as: UTF8.self)
  var engine = EngineSettings()
  for name in EngineSettings.names where (try? engine.set(name, text)) != nil { check(engine, name, text) }
  var client = ClientSettings()
  for name in ClientSettings.names where (try? client.set(name, text)) != nil {
    // Headers are told in one way of writing.
    if client.get(name) != text, !name.hasSuffix("headers") { fatalError("\(name): another value") }
  }
  if client.get("engine") != nil, client.engine == nil { fatalError("accepted an engine that cannot be read") }
  var tunnel = TunnelOptions()
  for name in ["name", "type", "protocol", "trusted_ips", "tls_alpns", "port", "labels.a", text] {
    guard (try? tunnel.set(name, text)) != nil, let value = tunnel.get(name) else { continue }
    var again = TunnelOptions()
    guard (try? again.set(name, value)) != nil, again.get(name) == value else { fatalError("\(name): \(value)") }
  }
  _ = try? tunnel.validate()
  return 0
}

private func checkFile(_ bytes: [UInt8]) {
  var settings = EngineSettings()
  let untouched = EngineSettings.names.map { settings.get($0) }
  do {
    try settings.load(yaml: bytes, file: "f")
  } catch {
    if !error.message.hasPrefix("f:") { fatalError("no place: \(error.message)") }
    if EngineSettings.names.map({ settings.get($0) }) != untouched { fatalError("changed in spite of an error") }
  }
  _ = try? settings.validate()
}

/// Typed values can be read once the text was accepted.
private func check(_ settings: EngineSettings, _ name: String, _ text: String) {
  if settings.get(name) != text { fatalError("\(name): another value") }
  if name == "tls.listen_addr", settings.tlsListen == nil { fatalError("no address: \(text)") }
  if name == "tcp.port_range", settings.tcpPortRange == nil { fatalError("no range: \(text)") }
  if name == "auth.tokens", settings.tokens.isEmpty { fatalError("no tokens: \(text)") }
}
