/* SPDX-License-Identifier: Apache-2.0 */
/**
 * error.h - error codes and error objects.
 *
 * A code is 0 (success), one of libuv's negative codes (-errno: -ECONNREFUSED is UV_ECONNREFUSED), or one of the codes
 * below. Programs without libuv's header compare with -errno, or by rstream_err_name(). Names are the stable identifiers
 * that the official clients use as well. The functions here may be called from any thread; an error object itself is not
 * shared between threads.
 */
#ifndef RSTREAM_ERROR_H
#define RSTREAM_ERROR_H

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Every code of librstream: XX(constant, value, stable name, what it means). Values are never reused. */
#define RSTREAM_ERRNO_MAP(XX)                                                                                          \
  XX(ENGINE, -10001, "ERR_RSTREAM_ENGINE", "the engine refused the request")                                           \
  XX(PROTOCOL, -10002, "ERR_RSTREAM_PROTOCOL", "the peer broke the rstream protocol")                                  \
  XX(FRAME_TOO_LARGE, -10003, "ERR_RSTREAM_FRAME_TOO_LARGE", "a frame exceeds 65535 bytes")                            \
  XX(CONTROL_CLOSED, -10004, "ERR_RSTREAM_CONTROL_CLOSED", "the control channel is closed")                            \
  XX(CONTROL_LIVENESS, -10005, "ERR_RSTREAM_CONTROL_LIVENESS", "the engine has not answered within the liveness time") \
  XX(CONTROL_OVERLOAD, -10006, "ERR_RSTREAM_CONTROL_OVERLOAD", "too much is waiting on the control channel")           \
  XX(OPERATION_TIMEOUT, -10007, "ERR_RSTREAM_OPERATION_TIMEOUT", "the operation took too long")                        \
  XX(TUNNEL_CLOSED, -10008, "ERR_RSTREAM_TUNNEL_CLOSED", "the tunnel is closed")                                       \
  XX(CLIENT_CLOSED, -10009, "ERR_RSTREAM_CLIENT_CLOSED", "the client is closed")                                       \
  XX(STREAM_CLOSED, -10010, "ERR_RSTREAM_STREAM_CLOSED", "the stream is closed")                                       \
  XX(ENGINE_CLOSED, -10011, "ERR_RSTREAM_ENGINE_CLOSED", "the embedded engine is closed")                              \
  XX(LOOP_CLOSED, -10012, "ERR_RSTREAM_LOOP_CLOSED", "the loop is closed")                                             \
  XX(WRONGTHREAD, -10013, "ERR_RSTREAM_WRONG_THREAD", "called from another thread than the loop's")                    \
  XX(AUTH_CONFLICT, -10020, "ERR_RSTREAM_AUTH_CONFLICT", "token and mTLS authentication cannot be used together")      \
  XX(AUTH_REQUIRED, -10021, "ERR_RSTREAM_AUTH_REQUIRED", "a token or a client certificate is required")                \
  XX(TOKEN_EXPIRED, -10022, "ERR_RSTREAM_TOKEN_EXPIRED", "the token has expired")                                      \
  XX(MTLS_INCOMPLETE, -10023, "ERR_RSTREAM_MTLS_INCOMPLETE", "mTLS certificate and key are both required")             \
  XX(TLS, -10024, "ERR_RSTREAM_TLS", "the TLS handshake or connection failed")                                         \
  XX(INVALID_CONFIG, -10030, "ERR_RSTREAM_INVALID_CONFIG", "a setting is unknown or its value is invalid")             \
  XX(INVALID_ENGINE, -10031, "ERR_RSTREAM_INVALID_ENGINE", "the engine address is invalid")                            \
  XX(ENGINE_REQUIRED, -10032, "ERR_RSTREAM_ENGINE_REQUIRED", "no engine address is configured")                        \
  XX(INVALID_TIMEOUT, -10033, "ERR_RSTREAM_INVALID_TIMEOUT", "a time limit is out of range")                           \
  XX(INVALID_TUNNEL, -10034, "ERR_RSTREAM_INVALID_TUNNEL", "the tunnel properties or the tunnel name are invalid")     \
  XX(UNSUPPORTED_TUNNEL, -10035, "ERR_RSTREAM_UNSUPPORTED_TUNNEL", "this build does not support that kind of tunnel")  \
  XX(UNSUPPORTED_TRANSPORT, -10036, "ERR_RSTREAM_UNSUPPORTED_TRANSPORT", "this build does not support that transport") \
  XX(INVALID_LOCAL_ENDPOINT, -10037, "ERR_RSTREAM_INVALID_LOCAL_ENDPOINT", "the local address is invalid")             \
  XX(BACKLOG_FULL, -10038, "ERR_RSTREAM_BACKLOG_FULL", "too many streams wait to be accepted")                         \
  XX(CONTEXT_NOT_FOUND, -10040, "ERR_RSTREAM_CONTEXT_NOT_FOUND", "the configuration file has no such context")         \
  XX(CONTEXT_AMBIGUOUS, -10041, "ERR_RSTREAM_CONTEXT_AMBIGUOUS", "several contexts have that name")                    \
  XX(INVALID_API_URL, -10042, "ERR_RSTREAM_INVALID_API_URL", "the control plane's URL is invalid")                     \
  XX(INVALID_REGION, -10043, "ERR_RSTREAM_INVALID_REGION", "the region's name is invalid")                             \
  XX(REGION_ENGINE_CONFLICT, -10044, "ERR_RSTREAM_REGION_ENGINE_CONFLICT", "region and engine exclude each other")     \
  XX(REGION_UNAVAILABLE, -10045, "ERR_RSTREAM_REGION_UNAVAILABLE", "the project is not available in that region")      \
  XX(REGION_AMBIGUOUS, -10046, "ERR_RSTREAM_REGION_AMBIGUOUS", "the project has several endpoints in that region")     \
  XX(PROJECT_ENDPOINT_REQUIRED, -10047, "ERR_RSTREAM_PROJECT_ENDPOINT_REQUIRED", "a region needs a managed project")   \
  XX(STORED_TOKEN_ENGINE_OVERRIDE, -10048, "ERR_RSTREAM_STORED_TOKEN_ENGINE_OVERRIDE", "token is for another engine")  \
  XX(STORED_MTLS_ENGINE_OVERRIDE, -10049, "ERR_RSTREAM_STORED_MTLS_ENGINE_OVERRIDE", "identity is for another one")    \
  XX(UNSUPPORTED_TOKEN_STORAGE, -10050, "ERR_RSTREAM_UNSUPPORTED_TOKEN_STORAGE", "token storage not supported")        \
  XX(UNSUPPORTED_MTLS_STORAGE, -10051, "ERR_RSTREAM_UNSUPPORTED_MTLS_STORAGE", "mTLS storage not supported")           \
  XX(ENGINE_RESOLUTION, -10052, "ERR_RSTREAM_ENGINE_RESOLUTION", "the control plane told no usable engine address")    \
  XX(API_HTTP, -10053, "ERR_RSTREAM_API_HTTP", "the control plane refused the request")                                \
  XX(API_INVALID_RESPONSE, -10054, "ERR_RSTREAM_API_INVALID_RESPONSE", "the control plane's answer cannot be used")    \
  XX(PROXY, -10060, "ERR_RSTREAM_PROXY", "the proxy did not open the connection")                                      \
  XX(ENGINE_API_HTTP, -10070, "ERR_RSTREAM_ENGINE_API_HTTP", "the engine's API answered with an error")                \
  XX(ENGINE_API_PAYLOAD, -10071, "ERR_RSTREAM_ENGINE_API_PAYLOAD", "the engine's API answered something unexpected")   \
  XX(INVALID_FILTER, -10072, "ERR_RSTREAM_INVALID_FILTER", "a filter is unknown or its value is invalid")              \
  XX(EVENT_JSON, -10073, "ERR_RSTREAM_EVENT_JSON", "an event of the engine is no JSON")                                \
  XX(ENGINE_DISCOVERY, -10075, "ERR_RSTREAM_ENGINE_DISCOVERY", "invalid or unavailable mTLS API discovery")

/** librstream's codes. RSTREAM_ERRNO_MAP has their names and short texts. */
typedef enum rstream_errno {
  RSTREAM_EENGINE = -10001,                /**< the engine refused the request; rstream_error_engine_code() tells why */
  RSTREAM_EPROTOCOL = -10002,              /**< the peer broke the rstream protocol */
  RSTREAM_EFRAME_TOO_LARGE = -10003,       /**< a frame exceeds 65535 bytes */
  RSTREAM_ECONTROL_CLOSED = -10004,        /**< the control channel is closed, or was while the operation ran */
  RSTREAM_ECONTROL_LIVENESS = -10005,      /**< the engine has not answered heartbeats in time: the channel is dead */
  RSTREAM_ECONTROL_OVERLOAD = -10006,      /**< too much is waiting on the control channel; try later */
  RSTREAM_EOPERATION_TIMEOUT = -10007,     /**< the operation took longer than the timeouts of the config allow */
  RSTREAM_ETUNNEL_CLOSED = -10008,         /**< the tunnel is closed, or was while the operation ran */
  RSTREAM_ECLIENT_CLOSED = -10009,         /**< the client is closed, or was while the operation ran */
  RSTREAM_ESTREAM_CLOSED = -10010,         /**< the stream is closed, or was while the operation ran */
  RSTREAM_EENGINE_CLOSED = -10011,         /**< the embedded engine is closed */
  RSTREAM_ELOOP_CLOSED = -10012,           /**< the loop is closed or being closed */
  RSTREAM_EWRONGTHREAD = -10013,           /**< called from another thread than the loop's; nothing was changed */
  RSTREAM_EAUTH_CONFLICT = -10020,         /**< the config has both a token and a client certificate */
  RSTREAM_EAUTH_REQUIRED = -10021,         /**< the config needs a token or a client certificate */
  RSTREAM_ETOKEN_EXPIRED = -10022,         /**< the token has expired; get a new one */
  RSTREAM_EMTLS_INCOMPLETE = -10023,       /**< the config has only one of client certificate and key */
  RSTREAM_ETLS = -10024,                   /**< the TLS handshake or connection failed, or its files cannot be used */
  RSTREAM_EINVALID_CONFIG = -10030,        /**< a setting is unknown or its value is invalid */
  RSTREAM_EINVALID_ENGINE = -10031,        /**< the engine address is invalid: host[:port] */
  RSTREAM_EENGINE_REQUIRED = -10032,       /**< no engine address is configured */
  RSTREAM_EINVALID_TIMEOUT = -10033,       /**< a time limit is out of range */
  RSTREAM_EINVALID_TUNNEL = -10034,        /**< the tunnel's properties or name are invalid */
  RSTREAM_EUNSUPPORTED_TUNNEL = -10035,    /**< this build does not support that kind of tunnel */
  RSTREAM_EUNSUPPORTED_TRANSPORT = -10036, /**< this build does not support that transport */
  RSTREAM_EINVALID_LOCAL_ENDPOINT = -10037,       /**< the local address is invalid */
  RSTREAM_EBACKLOG_FULL = -10038,                 /**< too many streams wait to be accepted */
  RSTREAM_ECONTEXT_NOT_FOUND = -10040,            /**< the configuration file has no such context */
  RSTREAM_ECONTEXT_AMBIGUOUS = -10041,            /**< several contexts of the configuration file have that name */
  RSTREAM_EINVALID_API_URL = -10042,              /**< the control plane's URL is invalid */
  RSTREAM_EINVALID_REGION = -10043,               /**< the region's name is invalid */
  RSTREAM_EREGION_ENGINE_CONFLICT = -10044,       /**< region and engine address exclude each other */
  RSTREAM_EREGION_UNAVAILABLE = -10045,           /**< the project has no endpoint in that region */
  RSTREAM_EREGION_AMBIGUOUS = -10046,             /**< the project has several endpoints in that region */
  RSTREAM_EPROJECT_ENDPOINT_REQUIRED = -10047,    /**< a region was asked for, but the project is not a managed one */
  RSTREAM_ESTORED_TOKEN_ENGINE_OVERRIDE = -10048, /**< the stored token is for another engine */
  RSTREAM_ESTORED_MTLS_ENGINE_OVERRIDE = -10049,  /**< the stored identity is for another engine */
  RSTREAM_EUNSUPPORTED_TOKEN_STORAGE = -10050,    /**< the token is kept where this build cannot read it */
  RSTREAM_EUNSUPPORTED_MTLS_STORAGE = -10051,     /**< the identity is kept where this build cannot read it */
  RSTREAM_EENGINE_RESOLUTION = -10052,            /**< the control plane told no usable engine address */
  RSTREAM_EAPI_HTTP = -10053,                     /**< the control plane refused the request */
  RSTREAM_EAPI_INVALID_RESPONSE = -10054,         /**< the control plane's answer cannot be used */
  RSTREAM_EPROXY = -10060,                        /**< the proxy did not open the connection */
  RSTREAM_EENGINE_API_HTTP = -10070,              /**< the engine's API answered with another status than success */
  RSTREAM_EENGINE_API_PAYLOAD = -10071,           /**< the engine's API answered something else than was asked for */
  RSTREAM_EINVALID_FILTER = -10072,               /**< a filter is unknown or its value is invalid */
  RSTREAM_EEVENT_JSON = -10073,                   /**< an event of the engine is no JSON */
  RSTREAM_EENGINE_DISCOVERY = -10075 /**< the engine does not tell where client certificates are for its API */
} rstream_errno;

/**
 * Codes that an engine sends (rstream_error_engine_code()). The engine may send others: treat them by their thousand:
 * 1 authorization, 2 request, 3 not found, 4 state, 5 feature, 6 unavailable, 7 capacity, 8 conflict, 9 internal.
 */
typedef enum rstream_engine_code {
  RSTREAM_ENGINE_UNSPECIFIED = 0,                      /**< the engine gave no code */
  RSTREAM_ENGINE_UNAUTHORIZED = 1000,                  /**< token or certificate do not allow this */
  RSTREAM_ENGINE_INVALID_REQUEST = 2000,               /**< the request makes no sense to the engine */
  RSTREAM_ENGINE_PROTOCOL_VERSION_MISSING = 2010,      /**< the request named no protocol version */
  RSTREAM_ENGINE_PROTOCOL_VERSION_INVALID = 2020,      /**< what it named is no version */
  RSTREAM_ENGINE_PROTOCOL_VERSION_INCOMPATIBLE = 2030, /**< the engine speaks no such version */
  RSTREAM_ENGINE_TUNNEL_NOT_FOUND = 3000,      /**< there is no such tunnel, or none to be seen by this client */
  RSTREAM_ENGINE_INVALID_STREAM = 4000,        /**< there is no such stream, or it is in another state */
  RSTREAM_ENGINE_FEATURE_NOT_AVAILABLE = 5000, /**< the engine, or the plan it runs under, does not have this */
  RSTREAM_ENGINE_SERVICE_UNAVAILABLE = 6000,   /**< not now: the engine stops or lacks something; try later */
  RSTREAM_ENGINE_CAPACITY_EXHAUSTED = 7000,    /**< a limit of the engine is reached */
  RSTREAM_ENGINE_RESOURCE_CONFLICT = 8000,     /**< what was asked for is taken, e.g. a host name or port */
  RSTREAM_ENGINE_INTERNAL = 9000               /**< the engine has failed */
} rstream_engine_code;

/**
 * The code of an error.
 * @param error  may be NULL
 * @return the code, negative; 0 for NULL
 */
RSTREAM_API int rstream_error_code(const rstream_error *error);

/**
 * The stable name of an error's code.
 * @param error  may be NULL
 * @return "ERR_RSTREAM_ENGINE", "ECONNREFUSED" and the like, static storage; NULL for NULL
 */
RSTREAM_API const char *rstream_error_name(const rstream_error *error);

/**
 * What was attempted, what came back and what to do, as one line of English. Never contains a token, secret or key.
 * @param error  may be NULL
 * @return the line, borrowed from the error; NULL for NULL
 */
RSTREAM_API const char *rstream_error_message(const rstream_error *error);

/**
 * The code that the engine sent, when the error's code is RSTREAM_EENGINE, or the HTTP status of its API, when it is
 * RSTREAM_EENGINE_API_HTTP.
 * @param error  may be NULL
 * @return the engine's code (see rstream_engine_code), or the status; 0 for other errors and for NULL
 */
RSTREAM_API int rstream_error_engine_code(const rstream_error *error);

/**
 * Copies an error that was borrowed for a callback and is to outlive it.
 * @param error  may be NULL
 * @return the copy, to be freed with rstream_error_free(); NULL for NULL
 */
RSTREAM_API rstream_error *rstream_error_copy(const rstream_error *error);

/** Frees an error that a function handed out or rstream_error_copy() made, or does nothing for NULL. */
RSTREAM_API void rstream_error_free(rstream_error *error);

/**
 * What a code means.
 * @param code  one of librstream's or of libuv's, or 0
 * @return a few words of English, "unknown error" for other numbers; never NULL; static storage
 */
RSTREAM_API const char *rstream_strerror(int code);

/**
 * The stable name of a code.
 * @param code  one of librstream's or of libuv's, or 0
 * @return "ERR_RSTREAM_ENGINE", "ECONNREFUSED", "OK" and the like, "UNKNOWN" for other numbers; never NULL; static storage
 */
RSTREAM_API const char *rstream_err_name(int code);

#ifdef __cplusplus
}
#endif

#endif /* RSTREAM_ERROR_H */
