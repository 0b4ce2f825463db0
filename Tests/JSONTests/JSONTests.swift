// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RstreamJSON

@Suite struct JSONTests {
  private func parse(_ text: String) throws -> JSONValue { try JSONParser.parse(Array(text.utf8)) }

  @Test func everyKindOfValueIsReadAndWritten() throws {
    let text = #"{"z":[null,true,false,-9223372036854775808,1.5,"é\"\\\n\u0001"],"a":{},"":[]}"#
    let value = try parse(text)
    #expect(
      value
        == .object([
          JSONMember(
            "z",
            .array([.null, .bool(true), .bool(false), .integer(.min), .real(1.5), .string("é\"\\\n\u{1}")])),
          JSONMember("a", .object([])), JSONMember("", .array([])),
        ]))
    #expect(String(decoding: value.encoded, as: UTF8.self) == text)
    #expect(value["a"] == .object([]))
    #expect(value["b"] == nil)
    #expect(JSONValue.null["a"] == nil)
  }

  @Test(arguments: ["1", "\"a\"", "null", " [ ] ", "{\"a\":1}"])
  func anyValueMayStandAlone(text: String) throws {
    #expect(throws: Never.self) { try parse(text) }
  }

  @Test(arguments: [
    "", " ", "{", "[1,]", "{\"a\":1,}", "{\"a\":1,\"a\":2}", "{a:1}", "'a'", "01", "1 2", "nul", "[1] x", "\"\u{1}\"",
    "\"\\u0000\"", "\"\\ud800\"", "99999999999999999999", "1e999", "NaN", "// c\n1",
  ])
  func everythingElseIsRefused(text: String) {
    #expect(throws: JSONParser.Failure.self) { try parse(text) }
  }

  @Test func invalidUTF8IsRefused() {
    #expect(throws: JSONParser.Failure.self) { try JSONParser.parse([0x22, 0xFF, 0x22]) }
    #expect(throws: JSONParser.Failure.self) { try JSONParser.parse([0x22, 0xC0, 0x80, 0x22]) }
  }

  @Test func sizeAndDepthAreBounded() throws {
    func nested(_ depth: Int) -> String { String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
    #expect(throws: Never.self) { try parse(nested(JSONParser.maximumDepth)) }
    #expect(throws: JSONParser.Failure.self) { try parse(nested(JSONParser.maximumDepth + 1)) }
    #expect(throws: JSONParser.Failure.self) { try parse(String(repeating: "{\"a\":", count: 100_000)) }
    #expect(throws: Never.self) { try parse(#"{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"[[["}"#) }
    let long = "\"" + String(repeating: "a", count: JSONParser.maximumBytes) + "\""
    #expect(throws: JSONParser.Failure.self) { try parse(long) }
  }

  @Test func writtenNumbersAreNumbers() {
    #expect(JSONValue.real(.infinity).encoded == Array("null".utf8))
    #expect(JSONValue.string("\u{7F}\t\r").encoded == Array(#""\u007f\t\r""#.utf8))
  }
}
