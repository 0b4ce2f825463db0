// SPDX-License-Identifier: Apache-2.0
import CUV
import Glibc

@testable import RstreamNet

// Any datagrams at a DTLS port. The first byte of each piece tells what it is, the second its length: datagrams as they are,
// of one of four addresses, or hellos that are made to show the cookie that they are answered with, so that what follows
// meets a handshake under way.

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: start, count: count))
  guard let port = Port() else { fatalError("no DTLS port") }
  var rest = input[...]
  while let kind = rest.popFirst(), let size = rest.popFirst() {
    let datagram = Array(rest.prefix(Int(size)))
    rest = rest.dropFirst(Int(size))
    let peer = UInt16(kind & 3) + 1
    if kind & 0x80 != 0 { port.show(datagram, from: peer) } else { port.receive(datagram, from: peer) }
  }
  port.end()
  return 0
}

private func expect(_ condition: Bool, _ what: @autoclosure () -> String) {
  if !condition { fatalError(what()) }
}

nonisolated(unsafe) private let loop = try? Loop.make()

/// Made once: a key takes its time.
nonisolated(unsafe) private let context: TLSContext? = {
  var template = Array("/tmp/rstream-fuzz-XXXXXX".utf8CString)
  let directory = String(cString: mkdtemp(&template))
  defer { system("rm -r \(directory)") }
  var settings = TLSContext.ServerSettings()
  settings.certificateFile = "\(directory)/cert.pem"
  settings.keyFile = "\(directory)/key.pem"
  settings.isDatagram = true
  settings.ciphers = DTLSChannel.ciphers
  system(
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost "
      + "-keyout \(settings.keyFile) -out \(settings.certificateFile) 2>/dev/null")
  return try? TLSContext(server: settings)
}()

private final class Port: DatagramPath {
  let largestPacket = 65_527
  let isBlocked = false
  var receiver: (any DatagramReceiver)?
  private var listener: DTLSListener?
  private var answers: [[UInt8]] = []
  private var places = 3

  init?() {
    guard let loop, let context else { return nil }
    listener = DTLSListener(
      loop, over: self, SocketAddress(.v4(0x7F00_0001), port: 4433), context, handshakeTimeout: 1 << 30,
      admit: { [weak self] in
        guard let self, places > 0 else { return nil }
        places -= 1
        return self
      },
      choose: { name, _, _ in name == "x" ? .refused(112) : .served(context) },
      { channel, failure in if failure == nil { channel.close() } })
  }

  func receive(_ datagram: [UInt8], from port: UInt16) {
    answers = []
    let before = listener?.handshakes ?? 0
    var local = sockaddr_in()
    var remote = sockaddr_in()
    remote.sin_family = sa_family_t(AF_INET)
    remote.sin_port = port.bigEndian
    remote.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &local) { local in
      withUnsafeMutablePointer(to: &remote) { remote in
        let route = DatagramRoute(
          local: UnsafeMutableRawPointer(local).assumingMemoryBound(to: sockaddr.self), length,
          remote: UnsafeMutableRawPointer(remote).assumingMemoryBound(to: sockaddr.self), length)
        datagram.withUnsafeBytes { receiver?.pathReceived($0, ecn: 0, route) }
      }
    }
    let after = listener?.handshakes ?? 0
    expect(after <= 3, "\(after) handshakes in 3 places")
    guard before == 0, after == 0 else { return }
    // Nobody has shown a cookie, unless it was refused at once: one short answer.
    expect(answers.count <= 2, "\(answers.count) answers to a stranger")
    expect(answers.allSatisfy { $0.count <= 100 }, "a long answer to a stranger")
  }

  /// Sends a hello twice, the second time with the cookie that answered it.
  func show(_ hello: [UInt8], from port: UInt16) {
    receive(hello, from: port)
    // Behind the headers of record and message, the version and its own length.
    guard let answer = answers.first, answer.count > 28, answer[0] == 22, answer[13] == 3 else { return }
    let cookie = Array(answer[28...].prefix(Int(answer[27])))
    // Behind the headers, version and random there is the session, and then the cookie.
    guard hello.count > 59 else { return }
    let place = 60 + Int(hello[59])
    guard place < hello.count else { return }
    var shown =
      Array(hello[..<place]) + [UInt8(cookie.count)] + cookie + hello[(place + 1)...].dropFirst(Int(hello[place]))
    let body = shown.count - 25
    guard body > 0 else { return }
    // The lengths of record, message and fragment.
    for (start, size, number) in [(11, 2, body + 12), (14, 3, body), (22, 3, body)] {
      for index in 0..<size { shown[start + index] = UInt8(truncatingIfNeeded: number >> (8 * (size - 1 - index))) }
    }
    receive(shown, from: port)
  }

  func send(_ packets: UnsafeRawBufferPointer, size: Int, ecn: UInt32, _ route: DatagramRoute) -> Int32 {
    answers.append(Array(packets))
    return 0
  }

  func close() { receiver = nil }

  func end() {
    listener?.close()
    expect(listener?.handshakes == 0, "handshakes are left")
    expect(receiver == nil, "associations are left")
    listener = nil
    if let loop { uv_run(loop.uv, UV_RUN_NOWAIT) }
  }
}
