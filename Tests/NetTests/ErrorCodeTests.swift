// SPDX-License-Identifier: Apache-2.0
import CRstream
import RstreamNet
import Testing

/// The codes that the Swift code uses are those of rstream/error.h.
struct ErrorCodeTests {
  @Test(arguments: [
    (ErrorCode.engine, RSTREAM_EENGINE), (ErrorCode.protocolViolation, RSTREAM_EPROTOCOL),
    (ErrorCode.frameTooLarge, RSTREAM_EFRAME_TOO_LARGE), (ErrorCode.controlClosed, RSTREAM_ECONTROL_CLOSED),
    (ErrorCode.controlLiveness, RSTREAM_ECONTROL_LIVENESS), (ErrorCode.controlOverload, RSTREAM_ECONTROL_OVERLOAD),
    (ErrorCode.operationTimeout, RSTREAM_EOPERATION_TIMEOUT), (ErrorCode.tunnelClosed, RSTREAM_ETUNNEL_CLOSED),
    (ErrorCode.clientClosed, RSTREAM_ECLIENT_CLOSED), (ErrorCode.streamClosed, RSTREAM_ESTREAM_CLOSED),
    (ErrorCode.engineClosed, RSTREAM_EENGINE_CLOSED), (ErrorCode.loopClosed, RSTREAM_ELOOP_CLOSED),
    (ErrorCode.wrongThread, RSTREAM_EWRONGTHREAD), (ErrorCode.authConflict, RSTREAM_EAUTH_CONFLICT),
    (ErrorCode.authRequired, RSTREAM_EAUTH_REQUIRED), (ErrorCode.tokenExpired, RSTREAM_ETOKEN_EXPIRED),
    (ErrorCode.mtlsIncomplete, RSTREAM_EMTLS_INCOMPLETE), (ErrorCode.tls, RSTREAM_ETLS),
    (ErrorCode.invalidConfig, RSTREAM_EINVALID_CONFIG), (ErrorCode.invalidEngine, RSTREAM_EINVALID_ENGINE),
    (ErrorCode.engineRequired, RSTREAM_EENGINE_REQUIRED), (ErrorCode.invalidTimeout, RSTREAM_EINVALID_TIMEOUT),
    (ErrorCode.invalidTunnel, RSTREAM_EINVALID_TUNNEL), (ErrorCode.unsupportedTunnel, RSTREAM_EUNSUPPORTED_TUNNEL),
    (ErrorCode.unsupportedTransport, RSTREAM_EUNSUPPORTED_TRANSPORT),
    (ErrorCode.invalidLocalEndpoint, RSTREAM_EINVALID_LOCAL_ENDPOINT),
    (ErrorCode.backlogFull, RSTREAM_EBACKLOG_FULL),
    (ErrorCode.contextNotFound, RSTREAM_ECONTEXT_NOT_FOUND),
    (ErrorCode.contextAmbiguous, RSTREAM_ECONTEXT_AMBIGUOUS),
    (ErrorCode.invalidAPIURL, RSTREAM_EINVALID_API_URL),
    (ErrorCode.invalidRegion, RSTREAM_EINVALID_REGION),
    (ErrorCode.regionEngineConflict, RSTREAM_EREGION_ENGINE_CONFLICT),
    (ErrorCode.regionUnavailable, RSTREAM_EREGION_UNAVAILABLE),
    (ErrorCode.regionAmbiguous, RSTREAM_EREGION_AMBIGUOUS),
    (ErrorCode.projectEndpointRequired, RSTREAM_EPROJECT_ENDPOINT_REQUIRED),
    (ErrorCode.storedTokenEngineOverride, RSTREAM_ESTORED_TOKEN_ENGINE_OVERRIDE),
    (ErrorCode.storedMTLSEngineOverride, RSTREAM_ESTORED_MTLS_ENGINE_OVERRIDE),
    (ErrorCode.unsupportedTokenStorage, RSTREAM_EUNSUPPORTED_TOKEN_STORAGE),
    (ErrorCode.unsupportedMTLSStorage, RSTREAM_EUNSUPPORTED_MTLS_STORAGE),
    (ErrorCode.engineResolution, RSTREAM_EENGINE_RESOLUTION),
    (ErrorCode.apiHTTP, RSTREAM_EAPI_HTTP),
    (ErrorCode.apiInvalidResponse, RSTREAM_EAPI_INVALID_RESPONSE),
    (ErrorCode.proxy, RSTREAM_EPROXY),
    (ErrorCode.engineAPIHTTP, RSTREAM_EENGINE_API_HTTP),
    (ErrorCode.engineAPIPayload, RSTREAM_EENGINE_API_PAYLOAD), (ErrorCode.invalidFilter, RSTREAM_EINVALID_FILTER),
    (ErrorCode.eventJSON, RSTREAM_EEVENT_JSON), (ErrorCode.engineDiscovery, RSTREAM_EENGINE_DISCOVERY),
  ])
  func isThatOfTheHeader(code: Int32, header: rstream_errno) {
    #expect(code == header.rawValue)
  }
}
