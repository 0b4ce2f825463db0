// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamNet

/// Compares this machine's clock with the Date of an answer of the engine's API.
final class ClockCheck: APIResponseReceiver {
  /// Seconds that the engine is ahead.
  typealias Completion = (Result<Int64, Failure>) -> Void

  private let client: Client
  private var completion: Completion?
  private var timer: LoopTimer?
  private var outgoing: OutgoingConnection?
  private var connection: APIConnection?

  init(_ client: Client, _ completion: @escaping Completion) {
    self.client = client
    self.completion = completion
    timer = LoopTimer(client.loop, after: APIRequest.timeout) { [self] in
      finish(.failure(Failure(ErrorCode.operationTimeout, "no answer after \(APIRequest.timeout) ms")))
    }
    outgoing = client.transport.connectToAPI(timeout: APIRequest.timeout) { [self] result in
      outgoing = nil
      switch result {
      case .failure(let failure): finish(.failure(failure))
      case .success(let channel): ask(channel)
      }
    }
  }

  func cancel() {
    completion = nil
    release()
  }

  private func ask(_ channel: ByteChannel) {
    let connection = APIConnection(channel, onIdle: { $0.close() }, onLost: { _ in })
    self.connection = connection
    connection.send(client.apiRequestHead("/health/live", accept: "*/*"), to: self)
  }

  func received(_ head: HTTPResponseHead) {
    guard let date = head.headers.first("date"), let seconds = HTTPTime.seconds(date) else {
      return finish(.failure(Failure(ErrorCode.engineAPIPayload, "its answer has no date")))
    }
    finish(.success(seconds - Int64(time(nil))))
  }

  func receivedBody(_ bytes: UnsafeRawBufferPointer) {}

  func responseEnded() {}

  func responseFailed(_ failure: Failure, isReceived: Bool) { finish(.failure(failure)) }

  /// Later: this may be called from inside the connection.
  private func finish(_ result: Result<Int64, Failure>) {
    guard let report = completion else { return }
    completion = nil
    client.loop.later { [self] in
      release()
      report(result)
    }
  }

  private func release() {
    timer?.close()
    timer = nil
    outgoing?.cancel()
    outgoing = nil
    connection?.close()
    connection = nil
  }
}

/// The time that HTTP writes: "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7).
enum HTTPTime {
  private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

  /// Seconds since 1970; nothing when the text is no such time.
  static func seconds(_ text: String) -> Int64? {
    let words = text.split(separator: " ")
    guard words.count == 6, words[5] == "GMT", let day = Int32(words[1]), (1...31).contains(day),
      let month = months.firstIndex(of: String(words[2])), let year = Int32(words[3]), (1970...9999).contains(year)
    else { return nil }
    let clock = words[4].split(separator: ":").compactMap { Int32($0) }
    guard clock.count == 3, (0...23).contains(clock[0]), (0...59).contains(clock[1]), (0...60).contains(clock[2]) else {
      return nil
    }
    var parts = tm()
    parts.tm_year = year - 1900
    parts.tm_mon = Int32(month)
    parts.tm_mday = day
    parts.tm_hour = clock[0]
    parts.tm_min = clock[1]
    parts.tm_sec = clock[2]
    return Int64(timegm(&parts))
  }
}
