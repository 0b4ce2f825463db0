// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamNet

extension HTTPResponseHead {
  /// A response of the engine's own.
  static func own(_ status: Int, contentType: String, length: Int) -> HTTPResponseHead {
    var head = HTTPResponseHead(status: status, reason: reason(of: status))
    head.headers.append("Date", HTTPDate.now())
    head.headers.append("Content-Type", contentType)
    head.headers.append("Content-Length", String(length))
    // Whether a tunnel is there changes at any moment.
    head.headers.append("Cache-Control", "no-store")
    return head
  }

  /// A line that says why there is nothing else.
  static func text(_ status: Int, _ message: String) -> (HTTPResponseHead, [UInt8]) {
    let body = Array("\(message)\n".utf8)
    return (own(status, contentType: "text/plain; charset=utf-8", length: body.count), body)
  }

  private static func reason(of status: Int) -> String {
    switch status {
    case 200: "OK"
    case 308: "Permanent Redirect"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 408: "Request Timeout"
    case 414: "URI Too Long"
    case 421: "Misdirected Request"
    case 426: "Upgrade Required"
    case 431: "Request Header Fields Too Large"
    case 501: "Not Implemented"
    case 502: "Bad Gateway"
    case 503: "Service Unavailable"
    case 504: "Gateway Timeout"
    case 505: "HTTP Version Not Supported"
    default: ""
    }
  }
}

extension HTTPExchange {
  /// Answers with a line of text; `more` are further header fields.
  func answer(_ status: Int, _ message: String, _ more: (name: String, value: String)...) {
    var (head, body) = HTTPResponseHead.text(status, message)
    for field in more { head.headers.append(field.name, field.value) }
    answer(head, body)
  }
}

/// The time as HTTP writes it (RFC 9110 5.6.7), whatever the process's locale is.
enum HTTPDate {
  private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
  private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

  static func now() -> String { text(time(nil)) }

  static func text(_ seconds: time_t) -> String {
    var seconds = seconds
    var parts = tm()
    guard gmtime_r(&seconds, &parts) != nil, days.indices.contains(Int(parts.tm_wday)),
      months.indices.contains(Int(parts.tm_mon))
    else { return "" }
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let day = "\(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)]) \(1900 + parts.tm_year)"
    return "\(day) \(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT"
  }
}
