// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RstreamConfig

@Suite struct YAMLScalarTests {
  @Test(arguments: [
    ("", YAMLScalar.null), ("~", .null), ("null", .null), ("yes", .flag(true)), ("Off", .flag(false)), ("y", .text),
    ("12", .number(12)), ("-3", .number(-3)), ("+4", .number(4)), ("1_0", .number(nil)), ("0x1F", .number(nil)),
    ("0b11", .number(nil)), ("017", .number(17)), ("089", .text), ("1.5", .number(nil)), ("1.", .number(nil)),
    (".5", .number(nil)), ("1.5e+3", .number(nil)), ("1.5e3", .text), ("1e5", .text), ("190:20:30", .number(nil)),
    (".inf", .number(nil)), ("-.INF", .number(nil)), (".nan", .number(nil)), ("1.2.3.4", .text), ("2026-01-31", .date),
    ("2026-1-31", .text), ("2026-01-31T10:20:30Z", .date), ("2026-01-31 1:2", .date), ("abc", .text), ("1a", .text),
    ("-", .text), ("--", .text), (".", .text), ("1:99", .text), ("localhost:80", .text),
    ("99999999999999999999", .number(nil)),
  ])
  func plainScalarsHaveTypes(text: String, expected: YAMLScalar) {
    #expect(YAMLScalar(plain: text) == expected)
  }
}

@Suite struct SmallFormsTests {
  @Test(arguments: [
    ("0", 0), ("5s", 5000), ("500ms", 500), ("1m", 60_000), ("1.5s", 1500), ("1m30s", 90_000), ("1h", 3_600_000),
    ("1us", 1), (".5s", 500), ("24h", 86_400_000),
  ])
  func durations(text: String, milliseconds: Int) {
    #expect(DurationText.milliseconds(text) == milliseconds)
  }

  @Test(arguments: [
    "", "5", "s", "5 s", "-1s", "1d", "25h", "1..5s", ".s", "1e3s", "5s5", "9999999999999999999999h", "0x1s",
  ])
  func badDurations(text: String) {
    #expect(DurationText.milliseconds(text) == nil)
  }

  @Test func hexadecimal() {
    #expect(HexadecimalText.bytes("0aFF") == [10, 255])
    #expect(HexadecimalText.bytes("0a:ff 01") == [10, 255, 1])
    #expect(HexadecimalText.bytes("") == nil)
    #expect(HexadecimalText.bytes("abc") == nil)
    #expect(HexadecimalText.bytes("zz") == nil)
    #expect(HexadecimalText.text([10, 255]) == "0aff")
  }

  @Test(arguments: [
    (#"{}"#, [:]), (#" {"a" : "b\n\"\\\/\u0041\ud83d\ude00"} "#, ["A": "b"]),
  ])
  func jsonStrings(text: String, expected: [String: String]) throws {
    var reader = JSONReader(Array(text.utf8))
    let strings = reader.strings()
    let members = try #require(strings)
    #expect(members.count == expected.count)
    if let first = members.first { #expect(first.name == "a" && first.value == "b\n\"\\/A😀") }
  }

  @Test(arguments: [
    "", "[]", "{", "{}x", #"{"a":1}"#, #"{"a":"\x"}"#, #"{"a":"\ud83d"}"#, #"{"a":"\ud83d\u0041"}"#, #"{"a":"\u12"}"#,
    #"{"a":"b",}"#, #"{"a":null}"#, "{\"a\":\"\n\"}", "{\"a\":\"b",
  ])
  func otherJSONIsRefused(text: String) {
    var reader = JSONReader(Array(text.utf8))
    #expect(reader.strings() == nil)
  }

  @Test func jsonLists() {
    func list(_ text: String) -> [String]? {
      var reader = JSONReader(Array(text.utf8))
      return reader.list()
    }
    #expect(list("[]") == [])
    #expect(list(#" ["a", "b,c" ] "#) == ["a", "b,c"])
    #expect(list(#"["a",]"#) == nil)
    #expect(list(#"[1]"#) == nil)
    #expect(list(JSONText.list(["a\"\\\n\u{7F}é"])) == ["a\"\\\n\u{7F}é"])
  }

  @Test func headerNames() throws {
    #expect(try HeaderList(json: #"{"x-api-KEY":"v"}"#, .controlPlane).headers.first?.name == "X-Api-Key")
    #expect(try HeaderList(json: #"{"x-api-KEY":"v"}"#, .proxy).headers.first?.name == "x-api-KEY")
    let bad = [
      #"{"a b":"v"}"#, #"{"":"v"}"#, #"{"a":"v\r"}"#, #"{"a":"v\n"}"#, #"{"a":"1","A":"2"}"#, #"{"Authorization":"v"}"#,
      #"{"te":"v"}"#, #"{"X-Forwarded-For":"v"}"#, #"{"cookie":"v"}"#,
    ]
    for json in bad {
      #expect(throws: ConfigError.self, "\(json)") { try HeaderList(json: json, .controlPlane) }
    }
    #expect(throws: Never.self) { try HeaderList(json: #"{"Authorization":"v"}"#, .proxy) }
  }
}
