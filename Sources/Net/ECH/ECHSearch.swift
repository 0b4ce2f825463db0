// SPDX-License-Identifier: Apache-2.0
import CUV

/// One search for the ECHConfigList of a server, along the aliases of its record.
final class ECHSearch {
  /// A list, or nothing when the server has published none.
  typealias Answer = Result<[UInt8]?, Failure>

  /// Milliseconds for all of it: connections wait.
  private static let timeout: UInt64 = 3000
  /// How long a chain of aliases may be.
  private static let aliasLimit = 8

  let question: ECHQuestion
  private let loop: Loop
  private let policy: DNSPolicy
  private let sockets: SocketPolicy
  private var onEnd: ((Answer) -> Void)?
  private var waiting: [([UInt8]?) -> Void] = []
  private var timer: LoopTimer?
  private var lookup: DNSLookup?
  private var aliases = 0

  init(
    _ loop: Loop, _ question: ECHQuestion, _ policy: DNSPolicy, _ sockets: SocketPolicy,
    onEnd: @escaping (Answer) -> Void
  ) {
    self.loop = loop
    self.question = question
    self.policy = policy
    self.sockets = sockets
    self.onEnd = onEnd
    timer = LoopTimer(loop, after: Self.timeout) { [self] in
      finish(.failure(Failure(ErrorCode.operationTimeout, "no answer after \(Self.timeout) ms")))
    }
    ask(question.name)
  }

  /// Tells when the search has ended; a failure leaves things as if nothing was published.
  func whenDone(_ tell: @escaping ([UInt8]?) -> Void) { waiting.append(tell) }

  /// Ends the search; who waits goes on as if nothing was published.
  func cancel() {
    onEnd = nil
    finish(.success(nil))
  }

  private func ask(_ name: String) {
    lookup = DNSLookup(loop, name, question.type, policy, sockets) { [self] result in
      lookup = nil
      switch result {
      case .failure(let failure): finish(.failure(failure))
      case .success(let reply): read(reply, name)
      }
    }
  }

  private func read(_ reply: DNSReply, _ name: String) {
    var owner = name
    while true {
      let services = reply.services(of: owner)
      if let list = services.lazy.compactMap({ $0.echList(for: self.question.protocols) }).first {
        return finish(.success(list))
      }
      guard let next = services.first(where: \.isAlias)?.target ?? reply.alias(of: owner) else { break }
      aliases += 1
      guard aliases <= Self.aliasLimit else { return finish(.success(nil)) }
      owner = next
    }
    // The chain leaves what the server has sent: ask for its end, unless it ends nowhere.
    if owner == name || reply.status == .noSuchName || !reply.services(of: owner).isEmpty {
      return finish(.success(nil))
    }
    ask(owner)
  }

  private func finish(_ answer: Answer) {
    let report = onEnd
    let told = waiting
    onEnd = nil
    waiting = []
    release()
    report?(answer)
    let list = try? answer.get()
    for tell in told { tell(list ?? nil) }
  }

  private func release() {
    timer?.close()
    timer = nil
    lookup?.cancel()
    lookup = nil
  }
}

extension ServiceBinding {
  /// Whether the record only leads to others (RFC 9460, section 2.4.2).
  var isAlias: Bool { priority == 0 && !target.isEmpty }

  /// The list of a record for one of these protocols.
  func echList(for wanted: [String]) -> [UInt8]? {
    guard priority > 0, let ech, ECHConfigList.isUsable(ech) else { return nil }
    if let protocols, !protocols.contains(where: { wanted.contains($0) }) { return nil }
    return ech
  }
}

extension DNSReply {
  func services(of owner: String) -> [ServiceBinding] {
    answers.compactMap { record in
      guard record.owner == owner, case .service(let service) = record.data else { return nil }
      return service
    }
  }
}
