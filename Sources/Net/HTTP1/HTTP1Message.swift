// SPDX-License-Identifier: Apache-2.0

/// A request that has begun, and what HTTP/1 says about the connection it came on.
public struct HTTP1Request: Sendable {
  public var head: HTTPRequestHead
  public var body: HTTPBodyLength
  /// 0 for HTTP/1.0, 1 for HTTP/1.1.
  public var minorVersion: Int
  /// Whether the client takes another response on this connection.
  public var keepsAlive: Bool
  /// Whether the client waits for 100 before it sends the body.
  public var expectsContinue: Bool
}

/// A response that has begun.
public struct HTTP1Response: Sendable {
  public var head: HTTPResponseHead
  public var body: HTTPBodyLength
  public var minorVersion: Int
  public var keepsAlive: Bool
  /// Whether what follows the head is no longer HTTP: 101, or 2xx to CONNECT.
  public var endsHTTP: Bool
}

extension HTTP1Request {
  /// Puts together what the head says and refuses what must not be routed on.
  init(_ parsed: HTTP1HeadParser, scheme: String) throws(HTTP1Error) {
    let target = try HTTP1RequestTarget(parsed.target, method: parsed.method)
    var headers = parsed.headers
    let hosts = headers.count(of: "host")
    guard hosts == 1 || hosts == 0 && parsed.minorVersion == 0 else {
      throw HTTP1Error(hosts == 0 ? "the Host header is missing" : "Host is set more than once")
    }
    let host = headers.first("host") ?? ""
    guard host.utf8.allSatisfy(HTTPCharacter.isAuthority) else {
      throw HTTP1Error("the Host header names no valid host")
    }
    headers.remove("host")

    minorVersion = parsed.minorVersion
    keepsAlive = HTTP1Framing.keepsAlive(headers, minorVersion: minorVersion)
    expectsContinue = minorVersion >= 1 && headers.contains("expect", token: "100-continue")
    body = try HTTP1Framing.requestBody(headers, minorVersion: minorVersion)
    if parsed.method == "CONNECT", body != .none { throw HTTP1Error("CONNECT cannot have a body") }
    var upgrade: String?
    if minorVersion >= 1, headers.contains("connection", token: "upgrade") { upgrade = headers.first("upgrade") }
    head = HTTPRequestHead(
      method: parsed.method, scheme: scheme,
      authority: target.authority.map { String(decoding: $0, as: UTF8.self) } ?? host, path: target.path,
      upgrade: upgrade, headers: headers)
  }
}

extension HTTP1Response {
  init(_ parsed: HTTP1HeadParser, answers request: HTTP1Parser.Answered) throws(HTTP1Error) {
    guard parsed.status >= 100 else { throw HTTP1Error("the status is no number from 100 to 999") }
    head = HTTPResponseHead(status: parsed.status, reason: parsed.reason, headers: parsed.headers)
    minorVersion = parsed.minorVersion
    body = try HTTP1Framing.responseBody(head, minorVersion: minorVersion, answers: request)
    endsHTTP = parsed.status == 101 || request == .connect && (200..<300).contains(parsed.status)
    keepsAlive = body != .untilClose && HTTP1Framing.keepsAlive(parsed.headers, minorVersion: minorVersion)
  }
}
