// SPDX-License-Identifier: Apache-2.0

/// One question to one name server and its answer: by UDP, and by TCP when the answer does not fit (RFC 7766), or by TLS
/// (RFC 7858).
final class DNSExchange: Attempt<DNSReply>, ByteChannelDelegate {
  /// Milliseconds for all of it.
  static let timeout: UInt64 = 2000

  /// TLS to a name server.
  struct Security {
    let context: TLSContext
    let serverName: String
  }

  private let loop: Loop
  private let query: DNSQuery
  private let server: SocketAddress
  private let security: Security?
  private let policy: SocketPolicy
  private var timer: LoopTimer?
  private var datagrams: DatagramSocket?
  private var connector: SocketConnector?
  private var lower: ByteChannel?
  private var channel: ByteChannel?
  private var input: [UInt8] = []

  init(
    _ loop: Loop, _ query: DNSQuery, to server: SocketAddress, _ security: Security?, _ policy: SocketPolicy,
    _ completion: @escaping Completion
  ) {
    self.loop = loop
    self.query = query
    self.server = server
    self.security = security
    self.policy = policy
    super.init(completion)
    timer = LoopTimer(loop, after: Self.timeout) { [self] in
      finish(.failure(Failure(ErrorCode.operationTimeout, "no answer from \(server) after \(Self.timeout) ms")))
    }
    if security == nil { askByDatagram() } else { askByStream() }
  }

  private func askByDatagram() {
    do throws(Failure) {
      let datagrams = try DatagramSocket(loop, to: server, policy) { [self] in receivedDatagram($0) }
      self.datagrams = datagrams
      try datagrams.send(query.bytes)
    } catch {
      finishLater(.failure(error))
    }
  }

  /// What is no answer to the question may be forged: the real one may still come.
  private func receivedDatagram(_ result: Result<UnsafeRawBufferPointer, Failure>) {
    switch result {
    case .failure(let failure): finish(.failure(failure))
    case .success(let bytes):
      guard let reply = DNSReply(bytes, to: query) else { return }
      guard reply.isTruncated else { return finish(.success(reply)) }
      datagrams?.close()
      datagrams = nil
      askByStream()
    }
  }

  private func askByStream() {
    connector = SocketConnector(loop, to: [server], policy: policy) { [self] result in
      connector = nil
      switch result {
      case .failure(let failure): finish(.failure(failure))
      case .success(let socket): secure(socket)
      }
    }
  }

  private func secure(_ socket: SocketChannel) {
    guard let security else { return ask(socket) }
    lower = socket
    do throws(Failure) {
      channel = try TLSChannel(client: security.context, over: socket, serverName: security.serverName) {
        [self] failure in
        if let failure { return finish(.failure(failure)) }
        if let channel { ask(channel) }
      }
    } catch {
      finish(.failure(error))
    }
  }

  /// Messages on a stream have their length in front (RFC 1035 4.2.2).
  private func ask(_ channel: ByteChannel) {
    self.channel = channel
    channel.delegate = self
    let count = query.bytes.count
    channel.write([UInt8(truncatingIfNeeded: count >> 8), UInt8(truncatingIfNeeded: count)] + query.bytes)
    channel.readStart()
  }

  func channel(_ channel: ByteChannel, received bytes: UnsafeRawBufferPointer) {
    input.append(contentsOf: bytes)
    while input.count >= 2, !isOver {
      let end = 2 + Int(input[0]) << 8 + Int(input[1])
      guard input.count >= end else { return }
      let reply = input.withUnsafeBytes { DNSReply(UnsafeRawBufferPointer(rebasing: $0[2..<end]), to: query) }
      input.removeFirst(end)
      if let reply { finish(.success(reply)) }
    }
  }

  func channelReceivedEnd(_ channel: ByteChannel) {
    finish(.failure(Failure(ErrorCode.protocolViolation, "\(server) closed the connection without an answer")))
  }

  func channelDrained(_ channel: ByteChannel) {}

  func channel(_ channel: ByteChannel, failed failure: Failure) { finish(.failure(failure)) }

  private func finishLater(_ result: Result<DNSReply, Failure>) {
    loop.later { [self] in finish(result) }
  }

  override func release() {
    timer?.close()
    timer = nil
    datagrams?.close()
    datagrams = nil
    connector?.cancel()
    connector = nil
    channel?.reset()
    channel = nil
    lower?.reset()
    lower = nil
    input = []
  }
}
