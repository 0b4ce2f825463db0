// SPDX-License-Identifier: Apache-2.0

/// Writes heads and chunks of HTTP/1.1 to the end of an array, which the caller may keep for the next one.
///
/// What frames the message and names the connection's fate is the serializer's: Connection, Keep-Alive,
/// Proxy-Connection, Transfer-Encoding and Upgrade among the headers are left out.
public enum HTTP1Serializer {
  public enum Connection: Sendable {
    /// What HTTP/1.1 does without being told.
    case persistent
    /// For peers that speak HTTP/1.0 and asked for it.
    case keepAlive
    case close
    /// A change to another protocol is asked for, agreed to or offered.
    case upgrade(String)
  }

  public static func append(
    _ head: HTTPRequestHead, chunked: Bool = false, connection: Connection = .persistent, to output: inout [UInt8]
  ) {
    for byte in head.method.utf8 where HTTPCharacter.isToken(byte) { output.append(byte) }
    output.append(0x20)
    if head.method == "CONNECT" {
      append(text: head.authority, to: &output)
    } else {
      append(path: head.path, to: &output)
    }
    output.append(contentsOf: " HTTP/1.1\r\nHost: ".utf8)
    append(text: head.authority, to: &output)
    output.append(contentsOf: "\r\n".utf8)
    finish(head.headers, chunked: chunked, connection: connection, to: &output)
  }

  public static func append(
    _ head: HTTPResponseHead, chunked: Bool = false, connection: Connection = .persistent, to output: inout [UInt8]
  ) {
    output.append(contentsOf: "HTTP/1.1 ".utf8)
    append(number: min(max(head.status, 100), 999), to: &output)
    output.append(0x20)
    append(text: head.reason, to: &output)
    output.append(contentsOf: "\r\n".utf8)
    finish(head.headers, chunked: chunked, connection: connection, to: &output)
  }

  /// The line before a chunk's bytes, which are followed by `chunkEnd`. Nothing for an empty chunk, which would end the
  /// body.
  public static func appendChunkStart(_ count: Int, to output: inout [UInt8]) {
    guard count > 0 else { return }
    var shift = (Int.bitWidth - count.leadingZeroBitCount - 1) & ~3
    while shift >= 0 {
      output.append(hexadecimal[count >> shift & 15])
      shift -= 4
    }
    output.append(contentsOf: "\r\n".utf8)
  }

  public static let chunkEnd: [UInt8] = [0x0D, 0x0A]

  /// The end of a chunked body.
  public static func appendLastChunk(trailers: HTTPHeaders = HTTPHeaders(), to output: inout [UInt8]) {
    output.append(contentsOf: "0\r\n".utf8)
    append(trailers, withLength: false, to: &output)
    output.append(contentsOf: "\r\n".utf8)
  }

  private static let hexadecimal = Array("0123456789abcdef".utf8)
  private static func finish(
    _ headers: HTTPHeaders, chunked: Bool, connection: Connection, to output: inout [UInt8]
  ) {
    append(headers, withLength: !chunked, to: &output)
    if chunked { output.append(contentsOf: "Transfer-Encoding: chunked\r\n".utf8) }
    switch connection {
    case .persistent:
      break
    case .keepAlive:
      output.append(contentsOf: "Connection: keep-alive\r\n".utf8)
    case .close:
      output.append(contentsOf: "Connection: close\r\n".utf8)
    case .upgrade(let name):
      output.append(contentsOf: "Connection: Upgrade\r\nUpgrade: ".utf8)
      append(text: name, to: &output)
      output.append(contentsOf: "\r\n".utf8)
    }
    output.append(contentsOf: "\r\n".utf8)
  }

  private static func append(_ headers: HTTPHeaders, withLength: Bool, to output: inout [UInt8]) {
    headers.forEachField { name, value in
      // TE is hop-by-hop, but says something about this message that only the caller can judge.
      if HTTPHeaders.isHopByHop(name), name.count != 2 { return }
      if HTTPCharacter.isSame(name, "host") || !withLength && HTTPCharacter.isSame(name, "content-length") { return }
      output.append(contentsOf: name)
      output.append(contentsOf: ": ".utf8)
      output.append(contentsOf: value)
      output.append(contentsOf: "\r\n".utf8)
    }
  }

  /// What would end the target early is percent-encoded; a parser lets none of it through.
  private static func append(path: [UInt8], to output: inout [UInt8]) {
    if path.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) {
      output.append(contentsOf: path)
      return
    }
    for byte in path {
      if byte > 0x20, byte != 0x7F {
        output.append(byte)
      } else {
        output.append(contentsOf: [UInt8(ascii: "%"), hexadecimal[Int(byte >> 4)], hexadecimal[Int(byte & 15)]])
      }
    }
  }

  /// Text that callers put together themselves must not end the line.
  private static func append(text: String, to output: inout [UInt8]) {
    let start = output.count
    output.append(contentsOf: text.utf8)
    for index in start..<output.count where output[index] < 0x20 || output[index] == 0x7F { output[index] = 0x20 }
  }

  private static func append(number: Int, to output: inout [UInt8]) {
    output.append(contentsOf: String(number).utf8)
  }
}
