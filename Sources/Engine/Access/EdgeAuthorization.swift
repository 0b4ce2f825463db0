// SPDX-License-Identifier: Apache-2.0
import RstreamJSON
import RstreamNet

/// Whether a request may pass to an http tunnel that asks for a token.
enum EdgeAuthorization: Equatable {
  /// The tunnel asks for no token, or the token is right. The path and the headers are those to pass on: a token that was
  /// used is not.
  case allowed(path: [UInt8], withoutAuthorization: Bool)
  /// 401 or 403, and why in words that may be shown.
  case denied(status: Int, message: String)

  static let queryName = "rstream.token"

  /// - Parameters:
  ///   - tunnel: as it is listed
  ///   - now: in seconds since 1970
  static func judge(
    _ head: HTTPRequestHead, to tunnel: @autoclosure () -> JSONValue, tokenAuth: Bool, _ authenticator: Authenticator,
    now: Int64
  ) -> EdgeAuthorization {
    guard tokenAuth else { return .allowed(path: head.path, withoutAuthorization: false) }
    let presented = token(head)
    guard let token = presented.text else {
      return .denied(status: 401, message: AuthenticationFailure.missing.message)
    }
    // An open engine takes agents without a token; a tunnel that asks for one means it.
    guard authenticator.canVerifyTokens else {
      return .denied(status: 401, message: AuthenticationFailure.unknown.message)
    }
    do {
      let grant = try authenticator.authenticate(token, now: now)
      guard grant.permits(.createStreams) else {
        return .denied(status: 403, message: "The token does not permit access to tunnels.")
      }
      guard grant.permitsStream(of: tunnel(), path: head.path.prefix { $0 != UInt8(ascii: "?") }) else {
        return .denied(status: 403, message: "The token does not permit access to this tunnel or path.")
      }
    } catch {
      return .denied(status: 401, message: error.message)
    }
    return .allowed(
      path: presented.isInQuery ? QueryString.removing(queryName, fromPath: head.path) : head.path,
      withoutAuthorization: !presented.isInQuery)
  }

  /// The token of a request: the header's, or the query's when there is no such header.
  private static func token(_ head: HTTPRequestHead) -> (text: String?, isInQuery: Bool) {
    if head.headers.contains("authorization") { return (BearerToken.of(head.headers), false) }
    guard case .value(let bytes) = QueryString(ofPath: head.path).value(queryName), !bytes.isEmpty else {
      return (nil, true)
    }
    return (String(decoding: bytes, as: UTF8.self), true)
  }
}

/// The token in `Authorization: Bearer <token>`.
enum BearerToken {
  /// Nothing when there is no such header, several, another scheme, or no token in it.
  static func of(_ headers: HTTPHeaders) -> String? {
    let values = headers.all("authorization")
    guard values.count == 1, let value = values.first else { return nil }
    let parts = value.split(separator: " ", omittingEmptySubsequences: true)
    guard parts.count == 2, parts[0].utf8.count == 6, parts[0].lowercased() == "bearer" else { return nil }
    return String(parts[1])
  }
}
