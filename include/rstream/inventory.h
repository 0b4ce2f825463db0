/* SPDX-License-Identifier: Apache-2.0 */
/**
 * inventory.h - what is online at an engine: lists of tunnels and clients, and watching them come and go.
 *
 * Requests go to the engine's HTTP API at the client's engine, https://<engine>/api, with the client's own identity: its
 * token, or its client certificate. They take the same way as everything else of the client (trusted CA, server name,
 * verification), on connections of their own that are kept for 90 s, four at most. A request takes 5 s at most, or
 * timeouts.operationMs where that is less, and is tried a second time when the network fails: its connection is broken or
 * silent for 2.45 s. An answer of the engine is never asked for twice; redirects are not followed.
 *
 * Filters are named strings, as in the API's JSON. All that are set have to hold.
 *
 * | resource | filters |
 * |---|---|
 * | RSTREAM_TUNNELS | id, name, type, status, client_id, user_id, protocol, hostname, publish ("true" or "false"), |
 * |                 | http_version, labels.<key> |
 * | RSTREAM_CLIENTS | id, status, user_id, agent, channel, version, os, arch, protocol_version, labels.<key> |
 *
 * Errors given to the callbacks here: RSTREAM_EENGINE_API_HTTP (the engine answered with another status than success,
 * which rstream_error_engine_code() tells: 400 for a bad request, 401 without a valid token, 403 without the permission
 * tunnels.resources.read-only, 404 for what is not there, 503 while it is not ready), RSTREAM_EENGINE_API_PAYLOAD (the
 * answer is not what was asked for, or larger than 16 MiB), RSTREAM_EPROTOCOL (it is not HTTP), RSTREAM_ETLS, libuv's
 * codes for the network, RSTREAM_EOPERATION_TIMEOUT, RSTREAM_ECLIENT_CLOSED.
 */
#ifndef RSTREAM_INVENTORY_H
#define RSTREAM_INVENTORY_H

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What is listed. */
typedef enum rstream_resource {
  RSTREAM_TUNNELS = 0, /**< tunnels that are online */
  RSTREAM_CLIENTS = 1  /**< clients that are connected */
} rstream_resource;

/**
 * Makes filters without any condition. A plain value: it belongs to no loop, but is used by one thread at a time.
 * @param resource  RSTREAM_TUNNELS or RSTREAM_CLIENTS
 * @param out       receives the filters; free them with rstream_filters_free()
 * @return 0 or UV_EINVAL
 */
RSTREAM_API int rstream_filters_new(int resource, rstream_filters **out);

/**
 * Sets one filter; NULL as value takes it away.
 * @param name   one of the table above; "labels.<key>" asks for that value of a label
 * @param value  what it has to be, copied
 * @return 0, or RSTREAM_EINVALID_FILTER for an unknown name or a bad value; `error` (may be NULL) tells which and why
 */
RSTREAM_API int rstream_filters_set(rstream_filters *filters, const char *name, const char *value,
                                    rstream_error **error);

/**
 * Asks for a label, whatever its value is; rstream_filters_set(filters, "labels.<key>", NULL, ...) takes it away.
 * @param key  the label's key, without "labels."
 * @return 0, RSTREAM_EINVALID_FILTER for an empty key, or UV_EINVAL
 */
RSTREAM_API int rstream_filters_require_label(rstream_filters *filters, const char *key, rstream_error **error);

/**
 * Frees filters. Requests made with them are not affected.
 * @param filters  may be NULL
 */
RSTREAM_API void rstream_filters_free(rstream_filters *filters);

/**
 * Result of a list or of one tunnel: `inventory` is owned by the callee on success, who frees it with
 * rstream_inventory_free(); NULL on failure.
 */
typedef void (*rstream_inventory_cb)(rstream_inventory *inventory, const rstream_error *error, void *data);

/**
 * Lists live tunnels, the newest first.
 * @param filters  of RSTREAM_TUNNELS, copied; NULL means all
 * @param limit    no more than so many; 0 means all
 * @param cb       called once with the tunnels or with an error
 * @return 0; UV_EINVAL, also for filters of clients; or a code (rstream.h)
 */
RSTREAM_API int rstream_client_list_tunnels(rstream_client *client, const rstream_filters *filters, size_t limit,
                                            rstream_inventory_cb cb, void *data);

/**
 * Lists connected clients.
 * @param filters  of RSTREAM_CLIENTS, copied; NULL means all
 * @param limit    no more than so many; 0 means all
 * @param cb       called once with the clients or with an error
 * @return 0; UV_EINVAL, also for filters of tunnels; or a code (rstream.h)
 */
RSTREAM_API int rstream_client_list_clients(rstream_client *client, const rstream_filters *filters, size_t limit,
                                            rstream_inventory_cb cb, void *data);

/**
 * Asks for one live tunnel; the inventory has one item. A tunnel that is not online is the error
 * RSTREAM_EENGINE_API_HTTP with the engine code 404.
 * @param id  its id; a name is not enough
 * @param cb  called once with the tunnel or with an error
 * @return 0; RSTREAM_EINVALID_TUNNEL for a blank id; or a code (rstream.h)
 */
RSTREAM_API int rstream_client_get_tunnel(rstream_client *client, const char *id, rstream_inventory_cb cb, void *data);

/** Result of rstream_client_check(): `error` is NULL when the answer is yes. */
typedef void (*rstream_check_cb)(const rstream_error *error, void *data);

/**
 * Asks the engine how it is.
 * @param what  "live": it runs; "ready": it takes new clients (otherwise the engine code 503); "auth": it accepts the
 *              client's token or certificate (otherwise 401)
 * @param cb    called once with the answer
 * @return 0; UV_EINVAL for another word; or a code (rstream.h)
 */
RSTREAM_API int rstream_client_check(rstream_client *client, const char *what, rstream_check_cb cb, void *data);

/**
 * How many tunnels or clients an inventory has.
 * @return the number; 0 for NULL
 */
RSTREAM_API size_t rstream_inventory_count(const rstream_inventory *inventory);

/**
 * A property of a tunnel or client, by its name in the API's JSON: those that can be filtered by, and for tunnels
 * creation_date (RFC 3339), geo_ip, trusted_ips, host, port, tls_mode, tls_alpns, tls_min_version, tls_ciphers,
 * mtls_auth, upstream_tls, token_auth, rstream_auth, challenge_mode, datagram_guaranteed_delivery,
 * allow_cross_region_routing; for both workspace_id, project_id, cluster_id, plan, provider, region. Booleans are "true"
 * or "false", lists come comma-separated, labels are asked for one by one as "labels.<key>".
 * @param index  from 0, below rstream_inventory_count()
 * @param name   the property's name
 * @return the value, borrowed while the inventory lives; NULL when it is not set or not of its type
 */
RSTREAM_API const char *rstream_inventory_property(const rstream_inventory *inventory, size_t index, const char *name);

/**
 * Names of the properties that are set, "labels.<key>" for each label.
 * @param index  which tunnel or client, from 0
 * @param nth    which name, from 0
 * @return the name, borrowed while the inventory lives; NULL past the last one
 */
RSTREAM_API const char *rstream_inventory_property_name(const rstream_inventory *inventory, size_t index, size_t nth);

/**
 * Where others reach a listed tunnel, in the words of rstream_tunnel_forwarding_address().
 * @param index  from 0
 * @return the address, borrowed while the inventory lives; NULL for a client and past the last one
 */
RSTREAM_API const char *rstream_inventory_forwarding_address(const rstream_inventory *inventory, size_t index);

/**
 * All of it as one JSON document on one line, with whatever else the engine told: an array of objects for a list, an
 * object for one tunnel. For bindings, whose language reads JSON.
 * @return the document, borrowed while the inventory lives; NULL for NULL
 */
RSTREAM_API const char *rstream_inventory_json(const rstream_inventory *inventory);

/**
 * Frees an inventory.
 * @param inventory  may be NULL
 */
RSTREAM_API void rstream_inventory_free(rstream_inventory *inventory);

/** How to watch; several are joined with |. */
typedef enum rstream_watch_flags {
  RSTREAM_WATCH_RECONNECT = 1, /**< connect again when it is lost or ended: after 0.5 s, then later, at most 30 s */
  RSTREAM_WATCH_WEBSOCKET = 2  /**< over WebSocket instead of server-sent events */
} rstream_watch_flags;

/**
 * Something has happened. The first event of each connection is the snapshot "state.initial": what was known before is
 * to be replaced by it. After it come "tunnel.created", "tunnel.updated", "tunnel.deleted", "client.created",
 * "client.updated" and "client.deleted"; others are to be ignored.
 * @param watch  may be closed from here
 * @param event  borrowed for the call
 */
typedef void (*rstream_event_cb)(rstream_watch *watch, const rstream_event *event, void *data);

/**
 * Watches tunnels and clients come and go. Nothing is lost or told twice between the snapshot and what follows. How it
 * ends, and that it could not even begin, tells rstream_watch_on_end(). With RSTREAM_WATCH_RECONNECT a watch that has begun
 * ends only when the engine refuses it (RSTREAM_EENGINE_API_HTTP with a status below 500) or sends what is no event; gaps
 * show as another snapshot.
 *
 * The events are server-sent events of the engine's API (/api/sse), which may pause for as long as they like, or with
 * RSTREAM_WATCH_WEBSOCKET messages of a WebSocket (/api/websocket): then the engine is sent a ping every 20 s, and one
 * that is silent for 90 s, or does not take a ping within 5 s, is taken for gone (RSTREAM_EOPERATION_TIMEOUT).
 * @param tunnels  filters of RSTREAM_TUNNELS, copied; NULL means all
 * @param clients  filters of RSTREAM_CLIENTS, copied; NULL means all
 * @param flags    0 or several of rstream_watch_flags
 * @param out      receives the watch; end it with rstream_watch_close()
 * @param cb       called for each event
 * @return 0; UV_EINVAL, also for filters of the other resource and unknown flags; or a code (rstream.h)
 */
RSTREAM_API int rstream_client_watch(rstream_client *client, const rstream_filters *tunnels,
                                     const rstream_filters *clients, int flags, rstream_watch **out,
                                     rstream_event_cb cb, void *data);

/**
 * Tells when a watch ends by itself. `error` is NULL when the engine ended it in an orderly way, as one that stops does
 * (over WebSocket with the close code 1000, 1001 or none); otherwise what went wrong: the errors of lists, and
 * RSTREAM_EEVENT_JSON. Other close codes are UV_ECONNRESET, or RSTREAM_EPROTOCOL where the engine blames the client; the
 * message names them. The handle still has to be closed.
 * @param watch  the watch that has ended
 */
typedef void (*rstream_watch_end_cb)(rstream_watch *watch, const rstream_error *error, void *data);

/**
 * Sets the callback for the end of the watch; NULL removes it. One that is set after the end is still told.
 * @param cb  called once
 * @return 0 or a code (rstream.h)
 */
RSTREAM_API int rstream_watch_on_end(rstream_watch *watch, rstream_watch_end_cb cb, void *data);

/**
 * Ends a watch; no event comes any more.
 * @return 0 or a code (rstream.h)
 */
RSTREAM_API int rstream_watch_close(rstream_watch *watch, rstream_close_cb cb, void *data);

/**
 * What kind of event it is.
 * @return "state.initial", "tunnel.created"...; borrowed like the event; NULL for NULL
 */
RSTREAM_API const char *rstream_event_type(const rstream_event *event);

/**
 * All of the event as one JSON document on one line, with whatever else the engine told. For bindings, whose language
 * reads JSON.
 * @return the document, borrowed like the event; NULL for NULL
 */
RSTREAM_API const char *rstream_event_json(const rstream_event *event);

/**
 * What the event is about: all tunnels or clients of a snapshot, the one that has come, changed or gone.
 * @param resource  RSTREAM_TUNNELS or RSTREAM_CLIENTS
 * @return an inventory, perhaps without items, borrowed like the event and not to be freed; NULL for NULL and for another
 *         resource
 */
RSTREAM_API const rstream_inventory *rstream_event_inventory(const rstream_event *event, int resource);

#ifdef __cplusplus
}
#endif

#endif /* RSTREAM_INVENTORY_H */
