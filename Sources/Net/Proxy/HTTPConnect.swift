// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// CONNECT through an HTTP/1.1 proxy (RFC 9110 9.3.6).
struct HTTPConnect: ProxyNegotiation {
  /// A proxy has little to say before the tunnel begins.
  private static let limits: HTTP1Limits = {
    var limits = HTTP1Limits()
    limits.headBytes = 16_384
    limits.startLineBytes = 4096
    limits.fields = 100
    return limits
  }()

  private let target: ProxyTarget
  private let server: ProxyServer
  private var scanner = HTTP1HeadScanner(.response, limits: Self.limits)
  private var scanned = 0
  private var headStart = 0

  init(_ server: ProxyServer, to target: ProxyTarget) {
    self.server = server
    self.target = target
  }

  func opening() -> [UInt8] {
    var fields = [(name: "Host", value: target.authority)]
    if let credentials = server.credentials {
      fields.append(("Proxy-Authorization", "Basic \(Self.encoded(credentials))"))
    }
    for field in server.headers {
      fields.removeAll { equalsIgnoringCase($0.name.utf8, field.name.utf8) }
      fields.append(field)
    }
    var text = "CONNECT \(target.authority) HTTP/1.1\r\n"
    for field in fields { text += "\(field.name): \(field.value)\r\n" }
    text += "\r\n"
    return Array(text.utf8)
  }

  /// What the proxy is shown, and may repeat.
  private var secrets: Secrets {
    let credentials = server.credentials
    return Secrets(server.headers.map(\.value) + [credentials?.password, credentials.map(Self.encoded)])
  }

  /// RFC 7617.
  private static func encoded(_ credentials: ProxyServer.Credentials) -> String {
    let pair = Array("\(credentials.username):\(credentials.password)".utf8)
    var text = [UInt8](repeating: 0, count: (pair.count + 2) / 3 * 4 + 1)
    let count = EVP_EncodeBlock(&text, pair, Int32(pair.count))
    return String(decoding: text.prefix(Int(count)), as: UTF8.self)
  }

  mutating func advance(_ input: [UInt8]) throws(Failure) -> (consumed: Int, step: ProxyStep) {
    do {
      while let end = try endOfHead(input) {
        let head = try input.withUnsafeBytes {
          try HTTP1HeadParser.response(UnsafeRawBufferPointer(rebasing: $0[headStart..<end]))
        }
        headStart = end
        // An interim response precedes the one that counts.
        if (100..<200).contains(head.status), head.status != 101 { continue }
        guard head.status == 200 else { throw refusal(head) }
        return (end, .open(bound: nil))
      }
      return (0, .wait)
    } catch let failure as Failure {
      throw failure
    } catch {
      let reason = (error as? HTTP1Error)?.message ?? "malformed"
      throw Failure(ErrorCode.proxy, "what it answered is not HTTP/1.1: \(reason)")
    }
  }

  /// Looks on from where it stopped; nothing while the head is not complete.
  private mutating func endOfHead(_ input: [UInt8]) throws -> Int? {
    let found = try input.withUnsafeBytes { bytes in
      try scanner.scan(UnsafeRawBufferPointer(rebasing: bytes[scanned...]))
    }
    guard let found else {
      scanned = input.count
      return nil
    }
    scanned += found
    scanner = HTTP1HeadScanner(.response, limits: Self.limits)
    return scanned
  }

  private func refusal(_ head: HTTP1HeadParser) -> Failure {
    let repeated = secrets.hidden(in: head.reason)
    let printable = repeated.unicodeScalars.prefix(80).filter { (0x20...0x7E).contains($0.value) }
    var reason = String(String.UnicodeScalarView(printable))
    if !reason.isEmpty { reason = " \(reason)" }
    var advice = ""
    if head.status == 407 {
      advice =
        server.credentials == nil ? "; it wants a user name and a password" : "; it does not accept the credentials"
    }
    return Failure(ErrorCode.proxy, "it refused to connect to \(target.authority): \(head.status)\(reason)\(advice)")
  }
}
