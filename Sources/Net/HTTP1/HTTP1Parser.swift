// SPDX-License-Identifier: Apache-2.0

/// What a parser finds. Called from inside `HTTP1Parser.feed` and `finish`.
public protocol HTTP1Receiver: AnyObject {
  func received(_ request: HTTP1Request)
  /// Interim responses (1xx but 101) come before the final one and have neither body nor end of their own.
  func received(_ response: HTTP1Response)
  /// A part of the body, borrowed for the call.
  func receivedBody(_ bytes: UnsafeRawBufferPointer)
  /// The fields after a chunked body; only called when there are any.
  func receivedTrailers(_ trailers: HTTPHeaders)
  /// The message has ended.
  func receivedEnd()
}

extension HTTP1Receiver {
  public func received(_ request: HTTP1Request) {}
  public func received(_ response: HTTP1Response) {}
  public func receivedTrailers(_ trailers: HTTPHeaders) {}
}

/// Reads HTTP/1 messages out of pieces of bytes. Body bytes are lent to the receiver as they lie in the piece.
///
/// `feed` never reads beyond the end of a message: what follows is for the caller to decide, another message or, after
/// CONNECT, 101 and the like, bytes that are not HTTP. Errors are final.
public final class HTTP1Parser {
  public enum Role: Sendable {
    case requests(scheme: String)
    case responses
  }

  /// The request that the next response answers: it decides whether a body follows.
  public enum Answered: Sendable {
    case head
    case connect
    case other
  }

  private enum State {
    case head(HTTP1HeadScanner)
    case body(remaining: UInt64)
    case chunks(HTTP1ChunkDecoder)
    case trailers(HTTP1HeadScanner)
    case untilClose
    case failed(HTTP1Error)
  }

  /// To be set before the response to a HEAD or CONNECT request arrives.
  public var answered = Answered.other

  private let role: Role
  private let limits: HTTP1Limits
  private var state: State
  /// The beginning of a head or a trailer section that comes in several pieces.
  private var partial = ByteQueue()

  public init(_ role: Role, limits: HTTP1Limits = HTTP1Limits()) {
    self.role = role
    self.limits = limits
    state = .head(HTTP1Parser.headScanner(role, limits))
  }

  deinit { partial.removeAll() }

  /// Whether the parser is between messages and has seen nothing of the next.
  public var isIdle: Bool {
    if case .head(let scanner) = state { return scanner.isAtBeginning }
    return false
  }

  /// Reads bytes, at most up to the end of the message. Returns how many were read: fewer than given only when the
  /// message has ended.
  public func feed(_ bytes: UnsafeRawBufferPointer, to receiver: any HTTP1Receiver) throws(HTTP1Error) -> Int {
    do {
      var position = 0
      while position < bytes.count {
        let rest = UnsafeRawBufferPointer(rebasing: bytes[position...])
        let (used, hasEnded) = try step(rest, receiver)
        position += used
        if hasEnded {
          receiver.receivedEnd()
          break
        }
      }
      return position
    } catch {
      state = .failed(error)
      partial.removeAll()
      throw error
    }
  }

  /// The connection has ended. Ends a response that lasts until then; throws when a message was cut off.
  public func finish(to receiver: any HTTP1Receiver) throws(HTTP1Error) {
    switch state {
    case .untilClose:
      begin()
      receiver.receivedEnd()
    case .head(let scanner) where scanner.isAtBeginning:
      break
    case .failed(let error):
      throw error
    default:
      let error = HTTP1Error("the connection ended in the middle of a message")
      state = .failed(error)
      throw error
    }
  }

  // MARK: - Steps

  /// Reads a first part of the bytes. Tells how many, and whether the message has ended with them.
  private func step(
    _ bytes: UnsafeRawBufferPointer, _ receiver: any HTTP1Receiver
  ) throws(HTTP1Error) -> (used: Int, hasEnded: Bool) {
    switch state {
    case .head(var scanner):
      let end = try scanner.scan(bytes)
      state = .head(scanner)
      let section = collect(bytes, end)
      guard let end else { return (bytes.count, false) }
      return (end, try takeHead(section, receiver))
    case .body(let remaining):
      let count = Int(min(UInt64(bytes.count), remaining))
      let hasEnded = UInt64(count) == remaining
      if hasEnded { begin() } else { state = .body(remaining: remaining - UInt64(count)) }
      receiver.receivedBody(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
      return (count, hasEnded)
    case .chunks(var decoder):
      let next = try decoder.next(bytes)
      state = .chunks(decoder)
      switch next {
      case .body(let count):
        receiver.receivedBody(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        return (count, false)
      case .framing(let count):
        return (count, false)
      case .trailers(let count):
        state = .trailers(HTTP1HeadScanner(.trailers, limits: limits))
        return (count, false)
      }
    case .trailers(var scanner):
      let end = try scanner.scan(bytes)
      state = .trailers(scanner)
      let section = collect(bytes, end)
      guard let end else { return (bytes.count, false) }
      try takeTrailers(section, receiver)
      return (end, true)
    case .untilClose:
      receiver.receivedBody(bytes)
      return (bytes.count, false)
    case .failed(let error):
      throw error
    }
  }

  /// The section that ends at `end`, from where its first piece lies or from the pieces kept; without an end the bytes
  /// are kept.
  private func collect(_ bytes: UnsafeRawBufferPointer, _ end: Int?) -> UnsafeRawBufferPointer {
    let piece = UnsafeRawBufferPointer(rebasing: bytes[..<(end ?? bytes.count)])
    if end != nil, partial.isEmpty { return piece }
    partial.append(piece)
    return partial.bytes
  }

  private func begin() {
    state = .head(HTTP1Parser.headScanner(role, limits))
  }

  private static func headScanner(_ role: Role, _ limits: HTTP1Limits) -> HTTP1HeadScanner {
    switch role {
    case .requests: HTTP1HeadScanner(.request, limits: limits)
    case .responses: HTTP1HeadScanner(.response, limits: limits)
    }
  }

  /// Tells whether the message has ended with its head.
  private func takeHead(
    _ bytes: UnsafeRawBufferPointer, _ receiver: any HTTP1Receiver
  ) throws(HTTP1Error) -> Bool {
    switch role {
    case .requests(let scheme):
      let request = try HTTP1Request(try HTTP1HeadParser.request(bytes), scheme: scheme)
      partial.removeAll()
      expect(request.body)
      receiver.received(request)
      return request.body == .none
    case .responses:
      let response = try HTTP1Response(try HTTP1HeadParser.response(bytes), answers: answered)
      partial.removeAll()
      expect(response.body)
      receiver.received(response)
      return response.body == .none && !response.head.isInterim
    }
  }

  private func expect(_ body: HTTPBodyLength) {
    switch body {
    case .none: begin()
    case .bytes(let count): state = .body(remaining: count)
    case .streamed: state = .chunks(HTTP1ChunkDecoder())
    case .untilClose: state = .untilClose
    }
  }

  private func takeTrailers(_ bytes: UnsafeRawBufferPointer, _ receiver: any HTTP1Receiver) throws(HTTP1Error) {
    // The empty line alone is the rule.
    guard bytes.count > 2 else {
      partial.removeAll()
      return begin()
    }
    var trailers = try HTTP1HeadParser.trailers(bytes)
    partial.removeAll()
    begin()
    trailers.removeForbiddenInTrailers()
    if !trailers.isEmpty { receiver.receivedTrailers(trailers) }
  }
}
