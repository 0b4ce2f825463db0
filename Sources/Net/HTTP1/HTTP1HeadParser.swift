// SPDX-License-Identifier: Apache-2.0
import CHTTPParser

/// A head taken apart by http_parser: the only place that touches it. Takes complete heads that `HTTP1HeadScanner` has
/// let through.
///
/// http_parser knows 34 methods and refuses all others: these are answered with 501.
struct HTTP1HeadParser {
  private(set) var headers = HTTPHeaders()
  /// Requests: the target as it stands in the request line.
  private(set) var target: [UInt8] = []
  private(set) var method = ""
  private(set) var status = 0
  private(set) var reason = ""
  /// 0 for HTTP/1.0, 1 for HTTP/1.1 and whatever 1.x may come.
  private(set) var minorVersion = 0

  private var pendingName: UnsafeRawBufferPointer?

  static func request(_ head: UnsafeRawBufferPointer) throws(HTTP1Error) -> HTTP1HeadParser {
    try parse(HTTP_REQUEST, "", head)
  }

  static func response(_ head: UnsafeRawBufferPointer) throws(HTTP1Error) -> HTTP1HeadParser {
    try parse(HTTP_RESPONSE, "", head)
  }

  /// Fields without a first line.
  static func trailers(_ section: UnsafeRawBufferPointer) throws(HTTP1Error) -> HTTPHeaders {
    try parse(HTTP_RESPONSE, "HTTP/1.1 200\r\n", section).headers
  }

  private static func parse(
    _ type: http_parser_type, _ preamble: StaticString, _ head: UnsafeRawBufferPointer
  ) throws(HTTP1Error) -> HTTP1HeadParser {
    var result = HTTP1HeadParser()
    result.headers.reserve(bytes: head.count, fields: 16)
    var parser = http_parser()
    http_parser_init(&parser, type)
    let consumed = withUnsafeMutablePointer(to: &result) { result in
      parser.data = UnsafeMutableRawPointer(result)
      return withUnsafePointer(to: settings) { settings in
        _ = preamble.withUTF8Buffer { execute(&parser, settings, UnsafeRawBufferPointer($0)) }
        return execute(&parser, settings, head)
      }
    }
    guard consumed == head.count, parser.http_errno == 0 else { throw failure(http_errno(parser.http_errno)) }
    result.finishField(value: nil)
    guard parser.http_major == 1 else { throw HTTP1Error(505, "only HTTP/1.0 and HTTP/1.1 are spoken here") }
    result.minorVersion = min(Int(parser.http_minor), 1)
    result.status = Int(parser.status_code)
    if type == HTTP_REQUEST, let name = http_method_str(http_method(UInt32(parser.method))) {
      result.method = String(cString: name)
    }
    return result
  }

  private static func execute(
    _ parser: inout http_parser, _ settings: UnsafePointer<http_parser_settings>, _ bytes: UnsafeRawBufferPointer
  ) -> Int {
    guard bytes.count > 0, parser.http_errno == 0 else { return 0 }
    return http_parser_execute(&parser, settings, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
  }

  private static func failure(_ number: http_errno) -> HTTP1Error {
    let description = http_errno_description(number).map { String(cString: $0) } ?? "malformed"
    switch number {
    case HPE_INVALID_METHOD: return HTTP1Error(501, "this request method is not known")
    case HPE_INVALID_VERSION: return HTTP1Error(505, description)
    case HPE_HEADER_OVERFLOW: return HTTP1Error(431, description)
    default: return HTTP1Error(description)
    }
  }

  private mutating func finishField(value: UnsafeRawBufferPointer?) {
    guard let name = pendingName else { return }
    pendingName = nil
    headers.append(checkedName: name, value: value.map(trimmed) ?? UnsafeRawBufferPointer(start: nil, count: 0))
  }

  /// Without the white space around it: http_parser leaves what follows a value.
  private func trimmed(_ value: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    guard let first = value.firstIndex(where: { !HTTPCharacter.isSpace($0) }),
      let last = value.lastIndex(where: { !HTTPCharacter.isSpace($0) })
    else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    return UnsafeRawBufferPointer(rebasing: value[first...last])
  }

  private static func owner(_ parser: UnsafeMutablePointer<http_parser>?) -> UnsafeMutablePointer<HTTP1HeadParser>? {
    parser?.pointee.data?.assumingMemoryBound(to: HTTP1HeadParser.self)
  }

  /// The bytes of every name, value and target arrive in one piece, because heads do.
  private static let settings: http_parser_settings = {
    var settings = http_parser_settings()
    settings.on_url = { parser, bytes, count in
      HTTP1HeadParser.owner(parser)?.pointee.target = Array(UnsafeRawBufferPointer(start: bytes, count: count))
      return 0
    }
    settings.on_status = { parser, bytes, count in
      HTTP1HeadParser.owner(parser)?.pointee.reason = String(
        decoding: UnsafeRawBufferPointer(start: bytes, count: count), as: UTF8.self)
      return 0
    }
    settings.on_header_field = { parser, bytes, count in
      HTTP1HeadParser.owner(parser)?.pointee.finishField(value: nil)
      HTTP1HeadParser.owner(parser)?.pointee.pendingName = UnsafeRawBufferPointer(start: bytes, count: count)
      return 0
    }
    settings.on_header_value = { parser, bytes, count in
      HTTP1HeadParser.owner(parser)?.pointee.finishField(value: UnsafeRawBufferPointer(start: bytes, count: count))
      return 0
    }
    // Neither body nor another message: framing is not http_parser's business.
    settings.on_headers_complete = { _ in 2 }
    return settings
  }()
}
