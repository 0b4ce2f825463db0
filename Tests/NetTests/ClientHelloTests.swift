// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RstreamNet

struct ClientHelloTests {
  private func vector8(_ bytes: [UInt8]) -> [UInt8] { [UInt8(bytes.count)] + bytes }
  private func vector16(_ bytes: [UInt8]) -> [UInt8] { [UInt8(bytes.count >> 8), UInt8(bytes.count & 255)] + bytes }

  private func hello(name: String?, protocols: [String]?, padding: Int = 0) -> [UInt8] {
    var extensions: [UInt8] = []
    if padding > 0 { extensions += [0, 21] + vector16([UInt8](repeating: 0, count: padding)) }
    if let name { extensions += [0, 0] + vector16(vector16([0] + vector16(Array(name.utf8)))) }
    if let protocols { extensions += [0, 16] + vector16(vector16(protocols.flatMap { vector8(Array($0.utf8)) })) }
    var body: [UInt8] = [3, 3] + [UInt8](repeating: 5, count: 32) + vector8([UInt8](repeating: 6, count: 32))
    body += vector16([0x13, 0x01]) + vector8([0]) + vector16(extensions)
    return [1, UInt8(body.count >> 16), UInt8(body.count >> 8 & 255), UInt8(body.count & 255)] + body
  }

  private func parse(_ bytes: [UInt8]) -> ClientHelloReader.Outcome {
    var reader = ClientHelloReader()
    return bytes.withUnsafeBytes { reader.append($0) }
  }

  /// The handshake message in records of at most `size` bytes.
  private func records(_ message: [UInt8], of size: Int = 16_384) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = message[...]
    while !rest.isEmpty {
      bytes += [22, 3, 1] + vector16(Array(rest.prefix(size)))
      rest = rest.dropFirst(size)
    }
    return bytes
  }

  @Test func findsNameAndProtocols() {
    let bytes = records(hello(name: "Web.T.localhost", protocols: ["h2", "http/1.1"]))
    #expect(
      parse(bytes) == .complete(ClientHello(serverName: "web.t.localhost", protocols: ["h2", "http/1.1"])))
  }

  @Test func withoutExtensions() {
    #expect(parse(records(hello(name: nil, protocols: nil))) == .complete(ClientHello()))
  }

  @Test(arguments: [1, 3, 17, 100, 1400]) func acceptsSplitRecords(size: Int) {
    let message = hello(name: "a.example", protocols: nil, padding: 1800)
    #expect(parse(records(message, of: size)) == .complete(ClientHello(serverName: "a.example")))
  }

  @Test(arguments: [1, 2, 7, 1000]) func acceptsSplitSegments(size: Int) {
    let bytes = records(hello(name: "a.example", protocols: nil, padding: 1800), of: 50)
    var reader = ClientHelloReader()
    var outcomes: [ClientHelloReader.Outcome] = []
    for start in stride(from: 0, to: bytes.count, by: size) {
      outcomes.append(bytes[start..<min(start + size, bytes.count)].withUnsafeBytes { reader.append($0) })
    }
    #expect(outcomes.last == .complete(ClientHello(serverName: "a.example")))
    #expect(outcomes.dropLast().allSatisfy { $0 == .incomplete })
  }

  @Test func everyPrefixIsIncomplete() {
    let bytes = records(hello(name: "a.example", protocols: ["x"]), of: 40)
    for count in 0..<bytes.count {
      #expect(parse(Array(bytes[..<count])) == .incomplete, "prefix of \(count)")
    }
  }

  @Test func refusesWhatIsNoHello() {
    #expect(parse(Array("GET / HTTP/1.1\r\n".utf8)) == .invalid)
    #expect(parse([22, 3, 1, 0, 4, 2, 0, 0, 0]) == .invalid)
    #expect(parse([22, 3, 1, 0xFF, 0xFF]) == .invalid)
    #expect(parse([22, 3, 1, 0, 4, 1, 0xFF, 0xFF, 0xFF]) == .invalid)
  }

  @Test func neverTrapsOnMutatedBytes() {
    let bytes = records(hello(name: "a.example", protocols: ["h2"]))
    var generator = SystemRandomNumberGenerator()
    for index in bytes.indices {
      for _ in 0..<8 {
        var mutated = bytes
        mutated[index] = UInt8.random(in: 0...255, using: &generator)
        _ = parse(mutated)
      }
    }
  }
}
