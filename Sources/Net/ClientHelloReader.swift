// SPDX-License-Identifier: Apache-2.0

/// Takes the ClientHello out of the first bytes of a connection: TLS records that carry it, split and sent however the
/// client likes. Each byte is looked at once.
public struct ClientHelloReader {
  public enum Outcome: Equatable {
    case complete(ClientHello)
    /// More bytes are needed.
    case incomplete
    /// This is no ClientHello.
    case invalid
  }

  /// Hellos with hybrid key shares take a few kilobytes; nothing reasonable comes near this.
  public static let limit = 32_768

  /// Of the record that is being read.
  private var header: [UInt8] = []
  private var left = 0
  /// What the records carried.
  private var handshake: [UInt8] = []

  public init() {}

  /// Looks at what has arrived. After a ClientHello, or what is none, nothing more is to be appended.
  public mutating func append(_ bytes: UnsafeRawBufferPointer) -> Outcome {
    var rest = bytes[...]
    while let next = rest.first {
      if left == 0 {
        rest.removeFirst()
        guard readHeader(next) else { return .invalid }
      } else {
        let fragment = rest.prefix(left)
        handshake.append(contentsOf: fragment)
        left -= fragment.count
        rest = rest.dropFirst(fragment.count)
        let outcome = readHandshake()
        if outcome != .incomplete { return outcome }
      }
    }
    return .incomplete
  }

  private mutating func readHeader(_ byte: UInt8) -> Bool {
    header.append(byte)
    switch header.count {
    case 1: return byte == 22
    case 2: return byte == 3
    case 5:
      left = Int(header[3]) << 8 | Int(header[4])
      header.removeAll(keepingCapacity: true)
      return left > 0 && left <= 16_384 + 256
    default: return true
    }
  }

  private func readHandshake() -> Outcome {
    guard handshake.first == 1 else { return .invalid }
    guard handshake.count >= 4 else { return .incomplete }
    let needed = 4 + (Int(handshake[1]) << 16 | Int(handshake[2]) << 8 | Int(handshake[3]))
    guard needed <= Self.limit else { return .invalid }
    guard handshake.count >= needed else { return .incomplete }
    return ClientHello(body: handshake[4..<needed]).map { .complete($0) } ?? .invalid
  }
}
