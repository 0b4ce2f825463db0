// SPDX-License-Identifier: Apache-2.0

/// Why something failed, in the words the caller of the C API reads: what was attempted, what came back, what to do.
/// Never contains a token, a secret or a key.
public struct Failure: Error, Sendable {
  /// A negative code: libuv's, or one of `ErrorCode`.
  public let code: Int32
  public let message: String
  /// The code the engine sent, when `code` is `ErrorCode.engine`; the HTTP status, when it is `ErrorCode.engineAPIHTTP`.
  public let engineCode: Int32

  public init(_ code: Int32, _ message: String, engineCode: Int32 = 0) {
    self.code = code
    self.message = message
    self.engineCode = engineCode
  }

  /// The same failure with the attempt it belongs to in front: "connect to edge.example.com:443: connection refused".
  public func during(_ attempt: String) -> Failure {
    Failure(code, "\(attempt): \(message)", engineCode: engineCode)
  }
}

/// The library's own codes; the values are those of rstream/error.h, which a test compares.
public enum ErrorCode {
  public static let engine: Int32 = -10001
  public static let protocolViolation: Int32 = -10002
  public static let frameTooLarge: Int32 = -10003
  public static let controlClosed: Int32 = -10004
  public static let controlLiveness: Int32 = -10005
  public static let controlOverload: Int32 = -10006
  public static let operationTimeout: Int32 = -10007
  public static let tunnelClosed: Int32 = -10008
  public static let clientClosed: Int32 = -10009
  public static let streamClosed: Int32 = -10010
  public static let engineClosed: Int32 = -10011
  public static let loopClosed: Int32 = -10012
  public static let wrongThread: Int32 = -10013
  public static let authConflict: Int32 = -10020
  public static let authRequired: Int32 = -10021
  public static let tokenExpired: Int32 = -10022
  public static let mtlsIncomplete: Int32 = -10023
  public static let tls: Int32 = -10024
  public static let invalidConfig: Int32 = -10030
  public static let invalidEngine: Int32 = -10031
  public static let engineRequired: Int32 = -10032
  public static let invalidTimeout: Int32 = -10033
  public static let invalidTunnel: Int32 = -10034
  public static let unsupportedTunnel: Int32 = -10035
  public static let unsupportedTransport: Int32 = -10036
  public static let invalidLocalEndpoint: Int32 = -10037
  public static let backlogFull: Int32 = -10038
  public static let contextNotFound: Int32 = -10040
  public static let contextAmbiguous: Int32 = -10041
  public static let invalidAPIURL: Int32 = -10042
  public static let invalidRegion: Int32 = -10043
  public static let regionEngineConflict: Int32 = -10044
  public static let regionUnavailable: Int32 = -10045
  public static let regionAmbiguous: Int32 = -10046
  public static let projectEndpointRequired: Int32 = -10047
  public static let storedTokenEngineOverride: Int32 = -10048
  public static let storedMTLSEngineOverride: Int32 = -10049
  public static let unsupportedTokenStorage: Int32 = -10050
  public static let unsupportedMTLSStorage: Int32 = -10051
  public static let engineResolution: Int32 = -10052
  public static let apiHTTP: Int32 = -10053
  public static let apiInvalidResponse: Int32 = -10054
  public static let proxy: Int32 = -10060
  public static let engineAPIHTTP: Int32 = -10070
  public static let engineAPIPayload: Int32 = -10071
  public static let invalidFilter: Int32 = -10072
  public static let eventJSON: Int32 = -10073
  public static let engineDiscovery: Int32 = -10075
}
