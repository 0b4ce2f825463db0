// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RstreamNet

struct VariableLengthIntegerTests {
  // The examples of RFC 9000, appendix A.1.
  @Test(
    arguments: [
      (151_288_809_941_952_652, [0xC2, 0x19, 0x7C, 0x5E, 0xFF, 0x14, 0xE8, 0x8C]),
      (494_878_333, [0x9D, 0x7F, 0x3E, 0x7D]),
      (15_293, [0x7B, 0xBD]), (37, [0x25]), (0, [0]), (63, [0x3F]), (64, [0x40, 0x40]), (16_384, [0x80, 0, 0x40, 0]),
    ] as [(UInt64, [UInt8])])
  func readsAndWrites(_ value: UInt64, _ bytes: [UInt8]) {
    #expect(VariableLengthInteger.encoded(value) == bytes)
    for count in 0..<bytes.count {
      #expect(bytes.prefix(count).withUnsafeBytes { VariableLengthInteger.read($0, from: 0) } == nil)
    }
    let found = (bytes + [9]).withUnsafeBytes { VariableLengthInteger.read($0, from: 0) }
    #expect(found?.value == value && found?.end == bytes.count)
  }

  @Test func readsALongFormOfAShortValue() {
    #expect([UInt8]([0x40, 0x25]).withUnsafeBytes { VariableLengthInteger.read($0, from: 0) }?.value == 37)
  }
}

struct HTTP3SettingsTests {
  private func read(_ bytes: [UInt8]) -> HTTP3Settings.Reading { bytes.withUnsafeBytes { HTTP3Settings.read($0) } }

  @Test func findsWhatIsSwitchedOn() {
    let both: [UInt8] = [0, 4, 7, 1, 0x40, 0x64, 8, 1, 0x33, 1]
    #expect(read(both + [7]) == .settings(HTTP3Settings(enablesConnectProtocol: true, enablesDatagrams: true)))
    for count in 0..<both.count { #expect(read(Array(both.prefix(count))) == .incomplete) }
    #expect(read([0, 4, 0]) == .settings(HTTP3Settings()))
    #expect(read([0, 4, 4, 8, 0, 0x33, 0]) == .settings(HTTP3Settings()))
  }

  @Test(
    arguments: [[2], [3, 4, 0], [0, 0, 1, 1], [0, 4, 1, 8], [0, 4, 2, 8, 0x40], [0, 4, 0x80, 1, 0, 0]] as [[UInt8]])
  func isAbsent(_ bytes: [UInt8]) {
    #expect(read(bytes) == .absent)
  }

  @Test func switchesDatagramsOn() {
    let amended = [UInt8]([0, 4, 4, 1, 0, 7, 0, 9]).withUnsafeBytes { HTTP3Settings.enablingDatagrams($0) }
    #expect(amended == [0, 4, 6, 0x33, 1, 1, 0, 7, 0, 9])
    #expect([UInt8]([0, 4, 2, 0x33, 1]).withUnsafeBytes { HTTP3Settings.enablingDatagrams($0) } == [0, 4, 2, 0x33, 1])
    #expect([UInt8]([0, 4, 2, 1]).withUnsafeBytes { HTTP3Settings.enablingDatagrams($0) } == nil)
    // The length may grow by a byte of its own.
    let long = [UInt8]([0, 4, 62]) + [UInt8](repeating: 1, count: 62)
    #expect(long.withUnsafeBytes { HTTP3Settings.enablingDatagrams($0) }?.prefix(6) == [0, 4, 0x40, 64, 0x33, 1])
  }
}

struct CapsuleReaderTests {
  private func datagrams(_ pieces: [[UInt8]]) -> ([[UInt8]], Bool) {
    var reader = CapsuleReader()
    var found: [[UInt8]] = []
    for piece in pieces { piece.withUnsafeBytes { reader.append($0) { found.append(Array($0)) } } }
    return (found, reader.isBetweenCapsules)
  }

  @Test func handsOnDatagramsAndSkipsTheRest() {
    let stream: [UInt8] = [0, 3, 0, 1, 2, 0x40, 0x99, 2, 8, 8, 0, 0, 0, 1, 5]
    for pieces in [[stream], stream.map { [$0] }] {
      let (found, isBetween) = datagrams(pieces)
      #expect(found == [[0, 1, 2], [], [5]] && isBetween)
    }
    #expect(datagrams([Array(stream.dropLast())]).1 == false)
    #expect(datagrams([[0]]).1 == false)
  }

  @Test func skipsADatagramThatNoSocketCouldSend() {
    let huge: [UInt8] = [0, 0x80, 1, 0, 8] + [UInt8](repeating: 7, count: 65_544)
    #expect(datagrams([huge + [0, 1, 42]]).0 == [[42]])
  }
}
