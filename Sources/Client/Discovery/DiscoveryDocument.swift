// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamJSON
import RstreamNet

/// What an engine says of its API for clients with a certificate.
struct DiscoveryDocument: Equatable {
  static let path = "/.well-known/rstream/engine"
  /// More is not read.
  static let limit = 16_384

  /// Why a document is not used.
  struct Invalid: Error, Equatable {
    let reason: String
  }

  let api: EngineAddress

  /// - Parameter host: the engine's, in lower case
  init(_ body: [UInt8], ofEngine host: String) throws(Invalid) {
    let json: JSONValue
    do { json = try JSONParser.parse(body, limit: Self.limit) } catch {
      throw Invalid(reason: "it is no JSON: \(error.message)")
    }
    guard case .object = json else { throw Invalid(reason: "it is no JSON object") }
    guard json["version"] == .integer(1) else { throw Invalid(reason: "its version is not 1") }
    let project = String(host.prefix { $0 != "." })
    guard json["projectEndpoint"]?.string == project else {
      throw Invalid(reason: "its projectEndpoint is not \(project)")
    }
    guard case .array(let capabilities)? = json["capabilities"], capabilities.allSatisfy({ $0.string != nil }),
      capabilities.contains(.string("engine-api-mtls"))
    else { throw Invalid(reason: "its capabilities are not a list of texts with engine-api-mtls") }
    guard let text = json["mtlsApiUrl"]?.string else { throw Invalid(reason: "its mtlsApiUrl is missing") }
    let url: MTLSAPIURL
    do { url = try MTLSAPIURL(text) } catch { throw Invalid(reason: "its mtlsApiUrl is no \(error.message)") }
    guard url.project == project else { throw Invalid(reason: "its mtlsApiUrl is not one of project \(project)") }
    api = url.address
  }
}

/// For how long a response may be used again (RFC 9111), as far as that matters here.
enum Freshness {
  private static let usual: UInt64 = 3600
  private static let longest: UInt64 = 86_400

  /// In seconds; what is not understood is not used again.
  static func seconds(_ headers: HTTPHeaders) -> UInt64 {
    var age: UInt64 = 0
    let ages = headers.all("age")
    if !ages.isEmpty {
      guard ages.count == 1, let value = number(ages[0]) else { return 0 }
      age = value
    }
    var lifetime: UInt64?
    for directive in headers.all("cache-control").flatMap({ $0.split(separator: ",") }) {
      let parts = directive.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      switch trimmed(String(parts[0])).lowercased() {
      case "no-store", "no-cache": return 0
      case "max-age":
        guard parts.count == 2, let value = number(String(parts[1])) else { return 0 }
        lifetime = min(lifetime ?? longest, value)
      default: break
      }
    }
    let seconds = lifetime ?? usual
    return seconds > age ? seconds - age : 0
  }

  /// Digits, perhaps in quotation marks; what is larger than any lifetime stands for that.
  private static func number(_ text: String) -> UInt64? {
    var digits = trimmed(text).utf8[...]
    if digits.count >= 2, digits.first == UInt8(ascii: "\""), digits.last == UInt8(ascii: "\"") {
      digits = digits.dropFirst().dropLast()
    }
    guard !digits.isEmpty, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return digits.reduce(0) { min($0 * 10 + UInt64($1 - 0x30), longest) }
  }
}
