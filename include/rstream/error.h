/* SPDX-License-Identifier: Apache-2.0 */
/**
 * error.h - error codes and error objects.
 *
 * A code is 0 (success), one of libuv's negative codes (-errno: -ECONNREFUSED is UV_ECONNREFUSED), or one of the codes
 * below. Names are the stable identifiers that the official clients use as well. The functions here may be called from
 * any thread; an error object itself is not shared between threads.
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
  XX(API_INVALID_RESPONSE, -10054, "ERR_RSTREAM_API_INVALID_RESPONSE", "the control plane's answer cannot be used")

/** librstream's codes. RSTREAM_EENGINE, RSTREAM_EPROTOCOL, ... */
typedef enum rstream_errno {
#define RSTREAM_ERRNO_ENUM(constant, value, name, text) RSTREAM_E##constant = value,
  RSTREAM_ERRNO_MAP(RSTREAM_ERRNO_ENUM)
#undef RSTREAM_ERRNO_ENUM
} rstream_errno;

/**
 * Codes that an engine sends (rstream_error_engine_code()). The engine may send others: treat them by their thousand:
 * 1 authorization, 2 request, 3 not found, 4 state, 5 feature, 6 unavailable, 7 capacity, 8 conflict, 9 internal.
 */
typedef enum rstream_engine_code {
  RSTREAM_ENGINE_UNSPECIFIED = 0,
  RSTREAM_ENGINE_UNAUTHORIZED = 1000,
  RSTREAM_ENGINE_INVALID_REQUEST = 2000,
  RSTREAM_ENGINE_PROTOCOL_VERSION_MISSING = 2010,
  RSTREAM_ENGINE_PROTOCOL_VERSION_INVALID = 2020,
  RSTREAM_ENGINE_PROTOCOL_VERSION_INCOMPATIBLE = 2030,
  RSTREAM_ENGINE_TUNNEL_NOT_FOUND = 3000,
  RSTREAM_ENGINE_INVALID_STREAM = 4000,
  RSTREAM_ENGINE_FEATURE_NOT_AVAILABLE = 5000,
  RSTREAM_ENGINE_SERVICE_UNAVAILABLE = 6000,
  RSTREAM_ENGINE_CAPACITY_EXHAUSTED = 7000,
  RSTREAM_ENGINE_RESOURCE_CONFLICT = 8000,
  RSTREAM_ENGINE_INTERNAL = 9000
} rstream_engine_code;

/** The code of an error: negative. 0 when `error` is NULL. */
RSTREAM_API int rstream_error_code(const rstream_error *error);

/** The stable name of the error's code, e.g. "ERR_RSTREAM_ENGINE" or "ECONNREFUSED". Static storage; NULL for NULL. */
RSTREAM_API const char *rstream_error_name(const rstream_error *error);

/**
 * What was attempted, what came back and what to do, as one line of English. Never contains a token, secret or key.
 * Borrowed from the error. NULL for NULL.
 */
RSTREAM_API const char *rstream_error_message(const rstream_error *error);

/** The code the engine sent when the code is RSTREAM_EENGINE (see rstream_engine_code); otherwise 0. */
RSTREAM_API int rstream_error_engine_code(const rstream_error *error);

/** A copy of an error that outlives the callback it was borrowed for. Free with rstream_error_free(). NULL for NULL. */
RSTREAM_API rstream_error *rstream_error_copy(const rstream_error *error);

/** Frees an error that a function handed out or rstream_error_copy() made. NULL is allowed. */
RSTREAM_API void rstream_error_free(rstream_error *error);

/** What a code means, for librstream's codes and libuv's. Static storage; "unknown error" for other numbers. */
RSTREAM_API const char *rstream_strerror(int code);

/** The stable name of a code, e.g. "ERR_RSTREAM_ENGINE" or "ECONNREFUSED". Static storage; "UNKNOWN" for others. */
RSTREAM_API const char *rstream_err_name(int code);

#ifdef __cplusplus
}
#endif

#endif /* RSTREAM_ERROR_H */
