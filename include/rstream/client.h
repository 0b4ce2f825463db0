/* SPDX-License-Identifier: Apache-2.0 */
/**
 * client.h - clients, control channels and dialing.
 *
 * A client knows an engine and how to reach it. An agent connects it, which opens a control channel, and creates tunnels
 * there (tunnel.h). A dialer reaches a private tunnel by name or id without a control channel of its own.
 */
#ifndef RSTREAM_CLIENT_H
#define RSTREAM_CLIENT_H

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Makes a client from a config; no connection is made yet.
 * @param loop    what it runs on; the client belongs to it
 * @param config  copied; may be freed or changed afterwards
 * @param out     receives the client; end it with rstream_client_close()
 * @param error   may be NULL
 * @return 0; RSTREAM_EENGINE_REQUIRED, RSTREAM_EAUTH_CONFLICT (token and certificate), RSTREAM_EAUTH_REQUIRED,
 *         RSTREAM_EMTLS_INCOMPLETE, RSTREAM_ETOKEN_EXPIRED, RSTREAM_EINVALID_CONFIG (settings that exclude each other),
 *         RSTREAM_EREGION_ENGINE_CONFLICT, RSTREAM_EPROJECT_ENDPOINT_REQUIRED, RSTREAM_EUNSUPPORTED_TRANSPORT and
 *         RSTREAM_EUNSUPPORTED_MTLS_STORAGE (a setting that this build cannot follow), RSTREAM_ETLS (a file cannot be
 *         read or used), UV_EINVAL, RSTREAM_EWRONGTHREAD
 */
RSTREAM_API int rstream_client_new(rstream_loop *loop, const rstream_config *config, rstream_client **out,
                                   rstream_error **error);

/** Closes the client, its control channels, tunnels and streams. @return 0 or a code (rstream.h) */
RSTREAM_API int rstream_client_close(rstream_client *client, rstream_close_cb cb, void *data);

/**
 * Result of rstream_client_connect().
 * @param control  the control channel, owned by the callee, who ends it with rstream_control_close(); NULL on failure
 */
typedef void (*rstream_connect_cb)(rstream_control *control, const rstream_error *error, void *data);

/**
 * Connects to the engine and opens a control channel. A client may have several.
 * @param cb  receives it, or the error: libuv's codes for the network, RSTREAM_ETLS, RSTREAM_EENGINE (refused; see
 *            rstream_error_engine_code()), RSTREAM_EPROTOCOL, RSTREAM_EOPERATION_TIMEOUT, RSTREAM_ECLIENT_CLOSED
 * @return 0 or a code (rstream.h)
 */
RSTREAM_API int rstream_client_connect(rstream_client *client, rstream_connect_cb cb, void *data);

/**
 * Result of rstream_client_dial().
 * @param stream  the stream, owned by the callee, who ends it with rstream_stream_close(); NULL on failure
 */
typedef void (*rstream_dial_cb)(rstream_stream *stream, const rstream_error *error, void *data);

/**
 * Opens a stream to a private bytestream tunnel.
 *
 * With zeroRtt (the default) the stream is handed out as soon as the request was written: an unknown tunnel then shows as
 * a stream that the engine closes at once. Without it the engine's answer is awaited and its error given to `cb`.
 * @param name_or_id  name or id of the tunnel; surrounding white space is ignored
 * @param cb          receives the stream, or the error as with rstream_client_connect()
 * @return 0; RSTREAM_EINVALID_TUNNEL for a blank name; or a code (rstream.h)
 */
RSTREAM_API int rstream_client_dial(rstream_client *client, const char *name_or_id, rstream_dial_cb cb, void *data);

/**
 * Tells when a control channel ends. `error` is NULL when it ended because the engine closed it in an orderly way;
 * otherwise what went wrong (RSTREAM_ECONTROL_LIVENESS, RSTREAM_EPROTOCOL, network errors...). Not called after
 * rstream_control_close(). Streams already accepted or dialed go on; the tunnels of the channel have ended.
 * The handle still has to be closed with rstream_control_close().
 * @param control  the control channel that has ended
 */
typedef void (*rstream_control_end_cb)(rstream_control *control, const rstream_error *error, void *data);

/**
 * Sets the callback for the end of the control channel. When it has ended already, the callback is called soon.
 * @param cb  called at most once; NULL takes an earlier one away
 * @return 0 or a code (rstream.h)
 */
RSTREAM_API int rstream_control_on_end(rstream_control *control, rstream_control_end_cb cb, void *data);

/**
 * The id that the engine gave to this client.
 * @return the id, borrowed while the handle lives; NULL for NULL
 */
RSTREAM_API const char *rstream_control_client_id(const rstream_control *control);

/**
 * What the engine told about itself.
 * @param name  agent, channel, version, plan, provider, region or update
 * @return the text, borrowed while the handle lives; NULL when the engine did not tell
 */
RSTREAM_API const char *rstream_control_server_detail(const rstream_control *control, const char *name);

/**
 * Closes the control channel in an orderly way (the engine's answer is awaited for at most 5 s) and its tunnels. Streams
 * already accepted go on until they are closed. @return 0 or a code (rstream.h)
 */
RSTREAM_API int rstream_control_close(rstream_control *control, rstream_close_cb cb, void *data);

#ifdef __cplusplus
}
#endif

#endif /* RSTREAM_CLIENT_H */
