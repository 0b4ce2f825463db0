// SPDX-License-Identifier: Apache-2.0
import CUV

/// What servers have published in the DNS about encrypting the ClientHello, asked for on the way of a path and
/// remembered. Whatever goes wrong here leaves connections as they would be without.
public final class ECHSource {
  /// Milliseconds that an answer is remembered, whatever the DNS says about it.
  private static let lifetime: (list: UInt64, absence: UInt64) = (600_000, 60_000)
  private static let limit = 16

  private struct Entry {
    let question: ECHQuestion
    /// Nothing published, or nothing learnt.
    let list: [UInt8]?
    /// Not worth waiting for, and asked again all the same.
    var isFailure = false
    let until: UInt64
  }

  /// What a connection has to go by.
  enum Knowledge {
    case known([UInt8]?)
    case sought(ECHSearch)
  }

  private let loop: Loop
  private let path: NetworkPath
  private var entries: [Entry] = []
  private var searches: [ECHSearch] = []
  private var regretted: Set<String> = []
  private var isClosed = false

  public init(_ loop: Loop, on path: NetworkPath) {
    self.loop = loop
    self.path = path
  }

  /// Ends the searches that are under way.
  public func close() {
    isClosed = true
    let ending = searches
    searches = []
    for search in ending { search.cancel() }
  }

  func seek(_ question: ECHQuestion, for host: String) -> Knowledge {
    guard !isClosed else { return .known(nil) }
    let entry = entries.first { $0.question == question && uv_now(loop.uv) < $0.until }
    if let entry, !entry.isFailure { return .known(entry.list) }
    let search = searches.first { $0.question == question } ?? start(question, host)
    // A connection for each stream would wait each time for a server that does not answer such questions.
    return entry == nil ? .sought(search) : .known(nil)
  }

  /// Takes the list that a server itself wants to be asked with.
  func remember(_ list: [UInt8], for question: ECHQuestion) {
    keep(Entry(question: question, list: list, until: uv_now(loop.uv) + Self.lifetime.list))
  }

  private func start(_ question: ECHQuestion, _ host: String) -> ECHSearch {
    let search = ECHSearch(loop, question, path.dns ?? .system(), path.sockets) { [weak self] answer in
      self?.ended(question, host, answer)
    }
    searches.append(search)
    return search
  }

  private func ended(_ question: ECHQuestion, _ host: String, _ answer: ECHSearch.Answer) {
    searches.removeAll { $0.question == question }
    let now = uv_now(loop.uv)
    switch answer {
    case .success(let list?):
      keep(Entry(question: question, list: list, until: now + Self.lifetime.list))
      if EncryptedHello.isAvailable {
        Log.debug("ech", "\(question.name): found how to encrypt the ClientHello")
      } else if regretted.insert(host).inserted {
        Log.debug("ech", "\(host): ECH found but this TLS library cannot")
      }
    case .success(nil):
      keep(Entry(question: question, list: nil, until: now + Self.lifetime.absence))
    case .failure(let failure):
      keep(Entry(question: question, list: nil, isFailure: true, until: now + Self.lifetime.absence))
      Log.debug("ech", "look up \(question.name): \(failure.message); going without ECH")
    }
  }

  private func keep(_ entry: Entry) {
    entries.removeAll { $0.question == entry.question }
    if entries.count == Self.limit { entries.removeFirst() }
    entries.append(entry)
  }
}
