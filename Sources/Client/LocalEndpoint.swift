// SPDX-License-Identifier: Apache-2.0
import CUV
import RstreamNet

/// A local service that streams are forwarded to: "8080", ":8080", "host:8080", "[::1]:8080" or "unix:/path"; for packets
/// the same without the last and, where one likes, with "udp:" in front.
enum LocalEndpoint: Equatable {
  case tcp(host: String, port: UInt16)
  case udp(host: String, port: UInt16)
  case unix(String)

  init(_ text: String, packets: Bool = false) throws(Failure) {
    var target = trimmed(text)
    func invalid(_ why: String) -> Failure {
      let expected = packets ? "port, host:port or [v6]:port" : "port, host:port, [v6]:port or unix:/path"
      return Failure(ErrorCode.invalidLocalEndpoint, "local address \"\(target)\": \(why); expected \(expected)")
    }
    if target.hasPrefix("udp:") {
      guard packets else {
        throw invalid("the tunnel carries byte streams; a UDP service needs type datagram")
      }
      target.removeFirst(4)
    }
    if target.hasPrefix("unix:") {
      guard !packets else { throw invalid("the tunnel carries packets, which go to a UDP service") }
      let path = String(target.dropFirst(5))
      // sun_path holds 108 bytes with the NUL.
      guard !path.isEmpty, path.utf8.count < 108 else {
        throw invalid("the path of a Unix socket has 1 to 107 bytes")
      }
      self = .unix(path)
      return
    }
    let host: Substring
    let portText: Substring
    if let colon = target.lastIndex(of: ":") {
      host = target[..<colon]
      portText = target[target.index(after: colon)...]
    } else {
      host = ""
      portText = target[...]
    }
    guard portText.utf8.count <= 5, portText.utf8.allSatisfy({ (48...57).contains($0) }), let port = UInt16(portText),
      port > 0
    else { throw invalid("the port is a number from 1 to 65535") }
    var name = String(host)
    if name.hasPrefix("["), name.hasSuffix("]") {
      name = String(name.dropFirst().dropLast())
      guard SocketAddress(literal: name, port: port) != nil else {
        throw invalid("brackets hold an IPv6 address")
      }
    } else if name.contains(":") {
      throw invalid("an IPv6 address stands in brackets: [::1]:8080")
    }
    guard name.utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "/") }) else {
      throw invalid("a host name has neither white space nor slashes; write host:port, not a URL")
    }
    if name.isEmpty { name = "127.0.0.1" }
    self = packets ? .udp(host: name, port: port) : .tcp(host: name, port: port)
  }
}

/// One attempt to connect to a local service. One of packets counts as connected when its address is known: UDP tells
/// nothing more.
final class LocalConnection: Attempt<Arrival> {
  private static let timeout: UInt64 = 10_000

  private let loop: Loop
  private var resolver: Resolver?
  private var connector: SocketConnector?
  private var timer: LoopTimer?

  init(_ loop: Loop, to endpoint: LocalEndpoint, _ completion: @escaping Completion) {
    self.loop = loop
    super.init(completion)
    timer = LoopTimer(loop, after: Self.timeout) { [self] in
      finish(.failure(Failure(UV_ETIMEDOUT.rawValue, "connect to the local service: no answer after 10 s")))
    }
    switch endpoint {
    case .unix(let path):
      connect([SocketAddress(.unix(path), port: 0)])
    case .tcp(let host, let port):
      resolve(host, port) { [self] addresses in connect(addresses) }
    case .udp(let host, let port):
      resolve(host, port) { [self] addresses in openSocket(addresses) }
    }
  }

  private func resolve(_ host: String, _ port: UInt16, _ then: @escaping ([SocketAddress]) -> Void) {
    resolver = Resolver(loop, host: host, port: port) { [self] result in
      resolver = nil
      switch result {
      case .success(let addresses): then(addresses)
      case .failure(let failure): finish(.failure(failure))
      }
    }
  }

  private func connect(_ addresses: [SocketAddress]) {
    connector = SocketConnector(loop, to: addresses) { [self] result in
      connector = nil
      finish(result.map { .stream($0) })
    }
  }

  /// The first address is taken that this machine has a way to.
  private func openSocket(_ addresses: [SocketAddress]) {
    var failure = Failure(UV_EADDRNOTAVAIL.rawValue, "connect to the local service: it has no address")
    for address in addresses {
      do throws(Failure) {
        return finish(.success(.packets(try UDPSocketChannel(loop, to: address))))
      } catch {
        failure = error
      }
    }
    finish(.failure(failure))
  }

  override func release() {
    timer?.close()
    timer = nil
    resolver?.cancel()
    resolver = nil
    connector?.cancel()
    connector = nil
  }
}
