// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamJSON
import RstreamNet

@testable import RstreamClient

// Any bytes as what an engine says of its API for clients with a certificate: as the document, as the URL in it, and as the
// header fields that say for how long it holds.

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: start, count: count))
  checkDocument(input)
  let text = String(decoding: input, as: UTF8.self)
  let document = JSONValue.object([
    JSONMember("version", .integer(1)), JSONMember("projectEndpoint", .string("edge")),
    JSONMember("mtlsApiUrl", .string(text)), JSONMember("capabilities", .array([.string("engine-api-mtls")])),
  ])
  checkDocument(document.encoded)
  checkURL(text)
  checkFreshness(text)
  return 0
}

/// Whoever is sent somewhere stays with the project.
private func checkDocument(_ body: [UInt8]) {
  guard let document = try? DiscoveryDocument(body, ofEngine: "edge.example.test") else { return }
  expect(body.count <= DiscoveryDocument.limit, "a large document was used")
  let host = document.api.host
  expect(host == "edge" || host.hasPrefix("edge."), "another project's host: \(host)")
  expect(document.api.port > 0, "no port")
}

/// What was read can be written, and reading that gives the same.
private func checkURL(_ text: String) {
  guard let url = try? MTLSAPIURL(text) else { return }
  for character in ["@", "?", "#", "%", "\\", " ", "\n", "\0"] where text.contains(character) {
    expect(false, "accepted: \(text)")
  }
  expect(text.lowercased().hasPrefix("https://") && text.hasSuffix("/api"), "accepted: \(text)")
  expect((try? MTLSAPIURL("https://\(url.address.text)/api")) == url, "read, then other: \(text)")
}

private func checkFreshness(_ text: String) {
  var headers = HTTPHeaders()
  for (index, line) in text.split(separator: "\n", maxSplits: 4).enumerated() {
    headers.append(index % 2 == 0 ? "Cache-Control" : "Age", String(line))
  }
  let seconds = Freshness.seconds(headers)
  expect(seconds <= 86_400, "kept for \(seconds) seconds")
  let parts = text.split(separator: "\n", maxSplits: 4).enumerated().filter { $0.offset % 2 == 0 }
  let words = parts.flatMap { $0.element.split(separator: ",") }
  if words.contains("no-store") { expect(seconds == 0, "kept though no-store") }
}

private func expect(_ condition: Bool, _ message: @autoclosure () -> String) {
  if !condition { fatalError(message()) }
}
