// SPDX-License-Identifier: Apache-2.0
import RstreamWire
import Testing

private func request(_ properties: TunnelProperties) -> Message {
  .openTunnelReq(OpenTunnelReq(requestID: "", tunnelProperties: properties))
}

/// The fields of the properties inside the request.
private func encoded(_ properties: TunnelProperties) -> [UInt8] {
  Array(request(properties).encoded().dropFirst(4))
}

private typealias Flag = WritableKeyPath<TunnelProperties, Bool?>
private typealias Text = WritableKeyPath<TunnelProperties, String?>
private typealias List = WritableKeyPath<TunnelProperties, [String]>

@Suite("Tunnel properties") struct TunnelPropertiesTests {
  @Test("tell absent, false and true apart") func flags() throws {
    let flags: [(UInt64, Flag)] = [
      (5, \.publish), (15, \.mtlsAuth), (18, \.httpUseTLS), (19, \.tokenAuth), (20, \.rstreamAuth),
      (21, \.challengeMode), (24, \.upstreamTLS), (25, \.datagramGuaranteedDelivery), (26, \.allowCrossRegionRouting),
    ]
    for (number, flag) in flags {
      for (value, content) in [(nil, nil), (false, "00"), (true, "02 08 01")] as [(Bool?, String?)] {
        var properties = TunnelProperties()
        properties[keyPath: flag] = value
        #expect(encoded(properties) == (content.map { tag(number) + bytes($0) } ?? []))
        #expect(try Message.decode(request(properties).encoded()) == request(properties))
      }
    }
  }

  @Test("tell absent and empty texts apart") func texts() throws {
    let texts: [(UInt64, Text)] = [
      (1, \.id), (3, \.name), (4, \.type), (6, \.protocol), (10, \.host), (11, \.tlsMode), (13, \.tlsMinVersion),
      (16, \.mtlsCACertPEM), (17, \.httpVersion), (22, \.hostname),
    ]
    for (number, text) in texts {
      for (value, content) in [(nil, nil), ("", "00"), ("x", "03 0a 01 78")] as [(String?, String?)] {
        var properties = TunnelProperties()
        properties[keyPath: text] = value
        #expect(encoded(properties) == (content.map { tag(number) + bytes($0) } ?? []))
        #expect(try Message.decode(request(properties).encoded()) == request(properties))
      }
    }
  }

  @Test("keep lists in order, empty elements included") func lists() throws {
    let lists: [(UInt64, List)] = [(8, \.geoip), (9, \.trustedIPs), (12, \.tlsALPNs), (14, \.tlsCiphers)]
    for (number, list) in lists {
      var properties = TunnelProperties()
      properties[keyPath: list] = ["b", "", "a", "a"]
      let elements = ["01 62", "00", "01 61", "01 61"].flatMap { tag(number) + bytes($0) }
      #expect(encoded(properties) == elements)
      #expect(try Message.decode(request(properties).encoded()) == request(properties))
    }
  }

  @Test("tell absent and zero ports and dates apart") func numbers() throws {
    for (port, content) in [(nil, ""), (0, "ba 01 00"), (443, "ba 01 03 08 bb 03")] as [(UInt32?, String)] {
      var properties = TunnelProperties()
      properties.port = port
      #expect(encoded(properties) == bytes(content))
      #expect(try Message.decode(request(properties).encoded()) == request(properties))
    }
    let dates: [(Timestamp?, String)] = [
      (nil, ""), (Timestamp(), "12 00"), (Timestamp(seconds: 1, nanos: 2), "12 04 08 01 10 02"),
      (Timestamp(seconds: -1), "12 0b 08 ff ff ff ff ff ff ff ff ff 01"),
    ]
    for (date, content) in dates {
      var properties = TunnelProperties()
      properties.creationDate = date
      #expect(encoded(properties) == bytes(content))
      #expect(try Message.decode(request(properties).encoded()) == request(properties))
    }
  }

  @Test("write labels in the order of their names' bytes") func labels() throws {
    var properties = TunnelProperties()
    properties.labels = ["b": "2", "a": "1", "": "", "\u{e9}": "3"]
    #expect(
      encoded(properties)
        == bytes("3a04 0a00 1200  3a06 0a0161 120131  3a06 0a0162 120132  3a07 0a02c3a9 120133"))
    #expect(try Message.decode(request(properties).encoded()) == request(properties))
  }

  @Test("read labels without name or value, and the last of a name") func sparseLabels() throws {
    let labels: [(entries: String, Labels)] = [
      ("3a00", ["": ""]),
      ("3a03 0a0161", ["a": ""]),
      ("3a03 120131", ["": "1"]),
      ("3a06 120131 0a0161", ["a": "1"]),
      ("3a06 0a0161 0a0162", ["b": ""]),
      ("3a06 0a0161 120131  3a06 0a0161 120132", ["a": "2"]),
      ("3a06 0a0161 120131  3a03 0a0161", ["a": ""]),
      // An entry with a third field is not a label.
      ("3a05 0a0161 1801", [:]),
    ]
    for (entries, expected) in labels {
      let content = bytes(entries)
      let payload = [0x2a, UInt8(content.count + 2), 0x12, UInt8(content.count)] + content
      var properties = TunnelProperties()
      properties.labels = expected
      #expect(try Message.decode(payload) == request(properties))
    }
  }
}

@Suite("Labels") struct LabelsTests {
  @Test("are looked up by the bytes of their name") func bytewise() {
    var labels = Labels()
    labels["\u{e9}"] = "one character"
    labels["e\u{301}"] = "two"
    #expect(labels.count == 2)
    #expect(labels["\u{e9}"] == "one character")
    #expect(labels["e\u{301}"] == "two")
    labels["\u{e9}"] = nil
    #expect(labels.count == 1)
    #expect(labels["\u{e9}"] == nil)
    #expect(!labels.isEmpty)
  }

  @Test("come in the order of their names") func order() {
    let labels: Labels = ["b": "1", "a\0": "2", "a": "3", "": "4", "\u{1f600}": "5", "\u{ffff}": "6", "b": "7"]
    #expect(labels.map(\.name) == ["", "a", "a\0", "b", "\u{ffff}", "\u{1f600}"])
    #expect(labels.map(\.value) == ["4", "3", "2", "7", "6", "5"])
  }
}

/// A tag of wire type 2.
private func tag(_ number: UInt64) -> [UInt8] {
  let tag = number << 3 | 2
  return tag < 0x80 ? [UInt8(tag)] : [UInt8(tag & 0x7f) | 0x80, UInt8(tag >> 7)]
}
