// SPDX-License-Identifier: Apache-2.0
import RstreamJSON
import RstreamNet

/// Where clients with a certificate find the API: /.well-known/rstream/engine, for everybody to read.
enum APIDiscovery {
  /// Seconds for which clients may keep what they have read.
  private static let maximumAge = 3600

  /// The response; nothing when a certificate is good for nothing here.
  static func document(of engine: Engine) -> (head: HTTPResponseHead, body: [UInt8])? {
    guard engine.authenticator.acceptsCertificates else { return nil }
    let (host, port) = (engine.settings.mtlsAPIHost, engine.publicPort)
    let body = JSONValue.object([
      JSONMember("version", .integer(1)),
      JSONMember("projectEndpoint", .string(engine.settings.projectEndpoint)),
      JSONMember("mtlsApiUrl", .string("https://\(host)\(port == 443 ? "" : ":\(port)")/api")),
      JSONMember("capabilities", .array([.string("engine-api-mtls")])),
    ]).encoded
    var head = HTTPResponseHead.own(200, contentType: "application/json", length: body.count)
    head.headers.remove("Cache-Control")
    head.headers.append("Cache-Control", "max-age=\(maximumAge)")
    return (head, body)
  }
}
