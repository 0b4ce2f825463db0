// SPDX-License-Identifier: Apache-2.0
import RstreamNet

/// What an engine's API says instead of an answer.
enum APIError {
  /// More of the engine's words is not read.
  static let bodyLimit = 4096
  private static let shownCharacters = 200

  /// The engine's words for a message: one line, without control characters and not too long.
  static func words(_ head: HTTPResponseHead, _ body: [UInt8], hiding secrets: Secrets) -> String {
    let text = trimmed(String(decoding: body, as: UTF8.self))
    let isMarkup = text.hasPrefix("<") || text.utf8.contains(0)
    return line(text.isEmpty || isMarkup ? trimmed(head.reason) : text, hiding: secrets)
  }

  /// Words of the engine's as one line that is not too long.
  static func line(_ text: String, hiding secrets: Secrets) -> String {
    let shown = secrets.hidden(in: text)
    let line = shown.unicodeScalars.prefix(shownCharacters).map {
      $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) ? " " : String($0)
    }
    return line.joined() + (shown.unicodeScalars.count > shownCharacters ? "..." : "")
  }
}

extension Client {
  func apiFailure(_ attempt: String, _ head: HTTPResponseHead, _ body: [UInt8]) -> Failure {
    let words = APIError.words(head, body, hiding: secrets)
    return Failure(
      ErrorCode.engineAPIHTTP,
      "\(attempt): the engine answered \(head.status)\(words.isEmpty ? "" : ": \(words)")\(advice(head.status))",
      engineCode: Int32(clamping: head.status))
  }

  private func advice(_ status: Int) -> String {
    switch status {
    case 401 where settings.token == nil && !transport.hasCertificate:
      " (set auth.token or RSTREAM_AUTHENTICATION_TOKEN)"
    case 300..<400: " (redirects are not followed: set engine to the engine's own address)"
    default: ""
    }
  }
}
