// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamNet
import TestSupport
import Testing

@testable import RstreamClient

@Suite struct ControlPlaneTests {
  private func engine(_ json: String, region: String? = nil) -> Result<EngineAddress, Failure> {
    do throws(Failure) {
      return .success(try ProjectDescription(Array(json.utf8), "ask").engine(in: region))
    } catch {
      return .failure(error)
    }
  }

  @Test(arguments: [
    (#"{"endpoint":"a","domain":"b.example","enginePort":8443}"#, "a.b.example:8443"),
    (#"{"endpoint":" A ","domain":"B.example"}"#, "a.b.example:443"),
    (#"{"endpoint":"a","url":"c.example"}"#, "c.example:443"), (#"{"url":"c.example:1","domain":""}"#, "c.example:1"),
    (#"{"endpoint":"a","domain":"b","enginePort":null,"regionalEndpoints":null,"x":[]}"#, "a.b:443"),
  ])
  func theAddressIsMadeOfTheAnswer(json: String, address: String) throws {
    #expect(try engine(json).get().text == address)
  }

  @Test(arguments: [
    ("[]", ErrorCode.apiInvalidResponse), ("{", ErrorCode.apiInvalidResponse), ("{}", ErrorCode.apiInvalidResponse),
    (#"{"endpoint":1,"domain":"b"}"#, ErrorCode.apiInvalidResponse),
    (#"{"endpoint":"a","domain":"b","enginePort":0}"#, ErrorCode.apiInvalidResponse),
    (#"{"endpoint":"a","domain":"b","enginePort":"1"}"#, ErrorCode.apiInvalidResponse),
    (#"{"endpoint":"a","domain":"b c"}"#, ErrorCode.engineResolution),
    (#"{"url":"https://c"}"#, ErrorCode.engineResolution),
  ])
  func otherAnswersAreRefused(json: String, code: Int32) {
    #expect(engine(json).failure?.code == code)
  }

  @Test func regions() throws {
    let json = """
      {"endpoint":"a","domain":"d","regionalEndpoints":[{"region":"EU ","domain":"e","enginePort":1},
      {"region":"us","domain":"u"},{"region":"us","domain":"v"},{"domain":"nameless"}]}
      """
    #expect(try engine(json, region: "eu").get().text == "a.e:1")
    #expect(engine(json, region: "us").failure?.code == ErrorCode.regionAmbiguous)
    #expect(engine(json, region: "mars").failure?.code == ErrorCode.regionUnavailable)
    #expect(
      engine(#"{"endpoint":"a","regionalEndpoints":{}}"#, region: "eu").failure?.code == ErrorCode.apiInvalidResponse)
  }

  @Test func closingEndsTheQuestion() throws {
    let test = try TestLoop()
    var accepted: [SocketChannel] = []
    let any = try #require(SocketAddress(literal: "127.0.0.1", port: 0))
    let listener = try Listener(test.loop, on: any) { accepted.append($0) }
    var settings = ClientSettings()
    try settings.set("apiUrl", "http://127.0.0.1:\(listener.address.port)")
    try settings.set("projectEndpoint", "p")
    let client = try Client(test.loop, settings)
    var failures: [Int32] = []
    var isClosed = false
    try client.connect { if case .failure(let failure) = $0 { failures.append(failure.code) } }
    try client.dial("x") { if case .failure(let failure) = $0 { failures.append(failure.code) } }
    test.run { accepted.count == 1 }
    try client.close { isClosed = true }
    test.run { isClosed }
    #expect(failures == [ErrorCode.clientClosed, ErrorCode.clientClosed])
    for channel in accepted { channel.reset() }
    listener.close()
    test.close()
  }
}

@Suite struct Base64Tests {
  @Test(arguments: [
    ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("\u{FFFF}>?", "77+/Pj8="),
  ])
  func bothWays(text: String, encoded: String) {
    #expect(Base64.encode(Array(text.utf8)) == encoded)
    #expect(Base64.decode(encoded) == Array(text.utf8))
  }

  @Test(arguments: ["A", "AA", "AAA", "A===", "====", "AA=A", "AA-_", "AA\n=", "AAAA\n"])
  func otherTextIsRefused(text: String) {
    #expect(Base64.decode(text) == nil)
  }
}
