// SPDX-License-Identifier: Apache-2.0
import RstreamWire

// Shows how this library understands messages, for comparison with another implementation. One line in, the payload of a
// frame in hexadecimal digits, and one line out:
//
//     ok <hex of the message written again> <the values as JSON>
//     error <reason>

func digits(_ bytes: [UInt8]) -> String {
  let digits = Array("0123456789abcdef".utf8)
  return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}

func bytes(_ line: String) -> [UInt8]? {
  var bytes: [UInt8] = []
  var high: Int?
  for character in line {
    guard let digit = character.hexDigitValue else { return nil }
    if let first = high { bytes.append(UInt8(first << 4 | digit)) }
    high = high == nil ? digit : nil
  }
  return high == nil ? bytes : nil
}

while let line = readLine() {
  guard let payload = bytes(line) else {
    print("error not hexadecimal")
    continue
  }
  do {
    let message = try Message.decode(payload)
    print("ok", digits(message.encoded()), json(message))
  } catch {
    print("error", error)
  }
}
