// SPDX-License-Identifier: Apache-2.0
import RstreamWire

/// How much a request for a tunnel may say. Its properties are kept and listed for as long as the tunnel lives.
enum TunnelLimits {
  static let nameBytes = 256
  static let labels = 64
  static let labelNameBytes = 128
  static let labelValueBytes = 1024
  static let listElements = 128
  static let elementBytes = 255

  static func check(_ properties: TunnelProperties) throws(Refusal) {
    if let name = properties.name {
      guard name.utf8.count <= nameBytes else { throw .invalid("name is longer than \(nameBytes) bytes.") }
      guard isPrintable(name) else { throw .invalid("name contains control characters.") }
    }
    guard properties.labels.count <= labels else { throw .invalid("There are more than \(labels) labels.") }
    for (name, value) in properties.labels {
      guard (1...labelNameBytes).contains(name.utf8.count), isPrintable(name) else {
        throw .invalid("The name of a label has 1 to \(labelNameBytes) bytes and no control characters.")
      }
      guard value.utf8.count <= labelValueBytes, isPrintable(value) else {
        throw .invalid("The value of a label has at most \(labelValueBytes) bytes and no control characters.")
      }
    }
    let lists = [
      ("geoip", properties.geoip), ("trusted_ips", properties.trustedIPs), ("tls_alpns", properties.tlsALPNs),
      ("tls_ciphers", properties.tlsCiphers),
    ]
    for (name, list) in lists {
      guard list.count <= listElements else { throw .invalid("\(name) has more than \(listElements) elements.") }
      guard list.allSatisfy({ (1...elementBytes).contains($0.utf8.count) && isPrintable($0) }) else {
        throw .invalid("Every element of \(name) has 1 to \(elementBytes) bytes and no control characters.")
      }
    }
    guard (properties.hostname?.utf8.count ?? 0) <= elementBytes else {
      throw .invalid("hostname is longer than \(elementBytes) bytes.")
    }
    guard [nil, "bytestream", "datagram"].contains(properties.type) else {
      throw .invalid("type must be bytestream or datagram.")
    }
  }

  private static func isPrintable(_ text: String) -> Bool {
    text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }
  }
}
