// SPDX-License-Identifier: Apache-2.0

/// A request to a SOCKS5 proxy (RFC 1928), with user name and password (RFC 1929) when there are some.
struct SOCKS5Request: ProxyNegotiation {
  /// RFC 1928, section 4.
  enum Command: UInt8 {
    case connect = 1
    case udpAssociate = 3
  }

  private enum Method {
    static let none: UInt8 = 0x00
    static let password: UInt8 = 0x02
    static let unacceptable: UInt8 = 0xFF
  }

  private enum State { case method, authentication, reply }

  private let command: Command
  private let target: ProxyTarget
  private let address: [UInt8]
  private let credentials: ProxyServer.Credentials?
  private var state = State.method

  /// The name of the target and the credentials have at most 255 bytes each.
  init(_ command: Command, _ server: ProxyServer, to target: ProxyTarget) throws(Failure) {
    self.command = command
    address = try SOCKS5Address.encoded(target)
    if let credentials = server.credentials {
      guard credentials.username.utf8.count <= 255, credentials.password.utf8.count <= 255 else {
        throw Failure(ErrorCode.invalidConfig, "SOCKS5 takes user names and passwords of at most 255 bytes")
      }
    }
    self.target = target
    credentials = server.credentials
  }

  /// Asks for a UDP relay. The address packets will be sent from is not known beforehand (RFC 1928, section 4).
  static func association(_ server: ProxyServer) throws(Failure) -> SOCKS5Request {
    try SOCKS5Request(.udpAssociate, server, to: ProxyTarget(host: "0.0.0.0", port: 0))
  }

  func opening() -> [UInt8] {
    credentials == nil ? [5, 1, Method.none] : [5, 2, Method.none, Method.password]
  }

  mutating func advance(_ input: [UInt8]) throws(Failure) -> (consumed: Int, step: ProxyStep) {
    switch state {
    case .method: try chooseMethod(input)
    case .authentication: try readAuthentication(input)
    case .reply: try readReply(input)
    }
  }

  private mutating func chooseMethod(_ input: [UInt8]) throws(Failure) -> (Int, ProxyStep) {
    if let version = input.first, version != 5 { throw notSOCKS5(version) }
    guard input.count >= 2 else { return (0, .wait) }
    switch input[1] {
    case Method.none:
      state = .reply
      return (2, .send(request))
    case Method.password:
      guard let credentials else {
        throw Failure(ErrorCode.proxy, "it wants a user name and a password although none was offered")
      }
      state = .authentication
      return (2, .send(Self.authentication(credentials)))
    case Method.unacceptable:
      throw Failure(
        ErrorCode.proxy,
        "it rejected all authentication methods"
          + (credentials == nil ? "; it may want a user name and a password" : ""))
    default:
      throw Failure(ErrorCode.proxy, "it chose authentication method \(input[1]), which was not offered")
    }
  }

  /// RFC 1929, section 2.
  private static func authentication(_ credentials: ProxyServer.Credentials) -> [UInt8] {
    let username = Array(credentials.username.utf8)
    let password = Array(credentials.password.utf8)
    return [1, UInt8(truncatingIfNeeded: username.count)] + username
      + [UInt8(truncatingIfNeeded: password.count)] + password
  }

  private mutating func readAuthentication(_ input: [UInt8]) throws(Failure) -> (Int, ProxyStep) {
    guard input.count >= 2 else { return (0, .wait) }
    guard input[0] == 1, input[1] == 0 else {
      throw Failure(ErrorCode.proxy, "it does not accept the user name and the password")
    }
    state = .reply
    return (2, .send(request))
  }

  private var request: [UInt8] { [5, command.rawValue, 0] + address }

  private func readReply(_ input: [UInt8]) throws(Failure) -> (Int, ProxyStep) {
    if let version = input.first, version != 5 { throw notSOCKS5(version) }
    guard input.count >= 2 else { return (0, .wait) }
    guard input[1] == 0 else {
      throw Failure(ErrorCode.proxy, "it could not \(attempt): \(Self.reason(input[1]))")
    }
    guard input.count >= 3 else { return (0, .wait) }
    guard input[2] == 0 else { throw Failure(ErrorCode.proxy, "its answer is not SOCKS5: the reserved byte is not 0") }
    switch input.withUnsafeBytes({ SOCKS5Address.read($0, from: 3) }) {
    case .incomplete: return (0, .wait)
    case .unknown(let type):
      throw Failure(ErrorCode.proxy, "its answer has address type \(type), which SOCKS5 does not know")
    case .address(let bound, let end): return (end, .open(bound: bound))
    }
  }

  private var attempt: String {
    switch command {
    case .connect: "connect to \(target.authority)"
    case .udpAssociate: "relay UDP"
    }
  }

  private func notSOCKS5(_ version: UInt8) -> Failure {
    Failure(ErrorCode.proxy, "it does not speak SOCKS5: its answer begins with \(version) instead of 5")
  }

  /// RFC 1928, section 6.
  private static func reason(_ reply: UInt8) -> String {
    switch reply {
    case 1: "general failure"
    case 2: "not allowed by its rules"
    case 3: "network unreachable"
    case 4: "host unreachable"
    case 5: "connection refused"
    case 6: "time to live expired"
    case 7: "command not supported"
    case 8: "address type not supported"
    default: "reply \(reply)"
    }
  }
}
