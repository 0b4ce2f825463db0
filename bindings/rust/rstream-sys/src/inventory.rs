// SPDX-License-Identifier: Apache-2.0
// Made by generate.py from rstream/inventory.h.
//! What is online at an engine: lists of tunnels and clients, and watching them come and go.
//!
//! Requests go to the engine's HTTP API at the client's engine, `https://<engine>/api`, with the client's own
//! identity: its token, or its client certificate. They take the same way as everything else of the client (trusted
//! CA, server name, verification), on connections of their own that are kept for 90 s, four at most. A request
//! takes 5 s at most, or timeouts.operationMs where that is less, and is tried a second time when the network
//! fails: its connection is broken or silent for 2.45 s. An answer of the engine is never asked for twice;
//! redirects are not followed.
//!
//! Filters are named strings, as in the API's JSON. All that are set have to hold.
//!
//! | resource | filters |
//! | --- | --- |
//! | RSTREAM_TUNNELS | id, name, type, status, client_id, user_id, protocol, hostname, publish ("true" or "false"), http_version, labels.\<key\> |
//! | RSTREAM_CLIENTS | id, status, user_id, agent, channel, version, os, arch, protocol_version, labels.\<key\> |
//!
//! Errors given to the callbacks here: RSTREAM_EENGINE_API_HTTP (the engine answered with another status than
//! success, which rstream_error_engine_code() tells: 400 for a bad request, 401 without a valid token, 403 without
//! the permission tunnels.resources.read-only, 404 for what is not there, 503 while it is not ready),
//! RSTREAM_EENGINE_API_PAYLOAD (the answer is not what was asked for, or larger than 16 MiB), RSTREAM_EPROTOCOL (it
//! is not HTTP), RSTREAM_ETLS, libuv's codes for the network, RSTREAM_EOPERATION_TIMEOUT, RSTREAM_ECLIENT_CLOSED.
use crate::types::*;
use std::os::raw::{c_char, c_int, c_void};

/// What is listed.
pub type rstream_resource = c_int;

/// Tunnels that are online.
pub const RSTREAM_TUNNELS: rstream_resource = 0;

/// Clients that are connected.
pub const RSTREAM_CLIENTS: rstream_resource = 1;

/// Result of a list or of one tunnel: `inventory` is owned by the callee on success, who frees it with
/// rstream_inventory_free(); NULL on failure.
pub type rstream_inventory_cb =
    Option<unsafe extern "C" fn(inventory: *mut rstream_inventory, error: *const rstream_error, data: *mut c_void)>;

/// Result of rstream_client_check(): `error` is NULL when the answer is yes.
pub type rstream_check_cb = Option<unsafe extern "C" fn(error: *const rstream_error, data: *mut c_void)>;

/// How to watch; several are joined with |.
pub type rstream_watch_flags = c_int;

/// Connect again when it is lost or ended: after 0.5 s, then later, at most 30 s.
pub const RSTREAM_WATCH_RECONNECT: rstream_watch_flags = 1;

/// Over WebSocket instead of server-sent events.
pub const RSTREAM_WATCH_WEBSOCKET: rstream_watch_flags = 2;

/// Something has happened. The first event of each connection is the snapshot "state.initial": what was known
/// before is to be replaced by it. After it come "tunnel.created", "tunnel.updated", "tunnel.deleted",
/// "client.created", "client.updated" and "client.deleted"; others are to be ignored.
///
/// - `watch`: may be closed from here
/// - `event`: borrowed for the call
pub type rstream_event_cb =
    Option<unsafe extern "C" fn(watch: *mut rstream_watch, event: *const rstream_event, data: *mut c_void)>;

/// Tells when a watch ends by itself. `error` is NULL when the engine ended it in an orderly way, as one that stops
/// does (over WebSocket with the close code 1000, 1001 or none); otherwise what went wrong: the errors of lists,
/// and RSTREAM_EEVENT_JSON. Other close codes are UV_ECONNRESET, or RSTREAM_EPROTOCOL where the engine blames the
/// client; the message names them. The handle still has to be closed.
///
/// - `watch`: the watch that has ended
pub type rstream_watch_end_cb =
    Option<unsafe extern "C" fn(watch: *mut rstream_watch, error: *const rstream_error, data: *mut c_void)>;

extern "C" {
    /// Makes filters without any condition. A plain value: it belongs to no loop, but is used by one thread at a time.
    ///
    /// - `resource`: RSTREAM_TUNNELS or RSTREAM_CLIENTS
    /// - `out`: receives the filters; free them with rstream_filters_free()
    ///
    /// Returns 0 or UV_EINVAL.
    pub fn rstream_filters_new(resource: c_int, out: *mut *mut rstream_filters) -> c_int;
    /// Sets one filter; NULL as value takes it away.
    ///
    /// - `name`: one of the table above; "labels.\<key\>" asks for that value of a label
    /// - `value`: what it has to be, copied
    ///
    /// Returns 0, or RSTREAM_EINVALID_FILTER for an unknown name or a bad value; `error` (may be NULL) tells which and
    /// why.
    pub fn rstream_filters_set(
        filters: *mut rstream_filters,
        name: *const c_char,
        value: *const c_char,
        error: *mut *mut rstream_error,
    ) -> c_int;
    /// Asks for a label, whatever its value is; rstream_filters_set(filters, "labels.\<key\>", NULL, ...) takes it
    /// away.
    ///
    /// - `key`: the label's key, without "labels."
    ///
    /// Returns 0, RSTREAM_EINVALID_FILTER for an empty key, or UV_EINVAL.
    pub fn rstream_filters_require_label(
        filters: *mut rstream_filters,
        key: *const c_char,
        error: *mut *mut rstream_error,
    ) -> c_int;
    /// Frees filters. Requests made with them are not affected.
    ///
    /// - `filters`: may be NULL
    pub fn rstream_filters_free(filters: *mut rstream_filters);
    /// Lists live tunnels, the newest first.
    ///
    /// - `filters`: of RSTREAM_TUNNELS, copied; NULL means all
    /// - `limit`: no more than so many; 0 means all
    /// - `cb`: called once with the tunnels or with an error
    ///
    /// Returns 0; UV_EINVAL, also for filters of clients; or a code (rstream.h).
    pub fn rstream_client_list_tunnels(
        client: *mut rstream_client,
        filters: *const rstream_filters,
        limit: usize,
        cb: rstream_inventory_cb,
        data: *mut c_void,
    ) -> c_int;
    /// Lists connected clients.
    ///
    /// - `filters`: of RSTREAM_CLIENTS, copied; NULL means all
    /// - `limit`: no more than so many; 0 means all
    /// - `cb`: called once with the clients or with an error
    ///
    /// Returns 0; UV_EINVAL, also for filters of tunnels; or a code (rstream.h).
    pub fn rstream_client_list_clients(
        client: *mut rstream_client,
        filters: *const rstream_filters,
        limit: usize,
        cb: rstream_inventory_cb,
        data: *mut c_void,
    ) -> c_int;
    /// Asks for one live tunnel; the inventory has one item. A tunnel that is not online is the error
    /// RSTREAM_EENGINE_API_HTTP with the engine code 404.
    ///
    /// - `id`: its id; a name is not enough
    /// - `cb`: called once with the tunnel or with an error
    ///
    /// Returns 0; RSTREAM_EINVALID_TUNNEL for a blank id; or a code (rstream.h).
    pub fn rstream_client_get_tunnel(
        client: *mut rstream_client,
        id: *const c_char,
        cb: rstream_inventory_cb,
        data: *mut c_void,
    ) -> c_int;
    /// Asks the engine how it is.
    ///
    /// - `what`: "live": it runs; "ready": it takes new clients (otherwise the engine code 503); "auth": it accepts the
    ///   client's token or certificate (otherwise 401)
    /// - `cb`: called once with the answer
    ///
    /// Returns 0; UV_EINVAL for another word; or a code (rstream.h).
    pub fn rstream_client_check(
        client: *mut rstream_client,
        what: *const c_char,
        cb: rstream_check_cb,
        data: *mut c_void,
    ) -> c_int;
    /// How many tunnels or clients an inventory has.
    ///
    /// Returns the number; 0 for NULL.
    pub fn rstream_inventory_count(inventory: *const rstream_inventory) -> usize;
    /// A property of a tunnel or client, by its name in the API's JSON: those that can be filtered by, and for tunnels
    /// creation_date (RFC 3339), geo_ip, trusted_ips, host, port, tls_mode, tls_alpns, tls_min_version, tls_ciphers,
    /// mtls_auth, upstream_tls, token_auth, rstream_auth, challenge_mode, datagram_guaranteed_delivery,
    /// allow_cross_region_routing; for both workspace_id, project_id, cluster_id, plan, provider, region. Booleans are
    /// "true" or "false", lists come comma-separated, labels are asked for one by one as "labels.\<key\>".
    ///
    /// - `index`: from 0, below rstream_inventory_count()
    /// - `name`: the property's name
    ///
    /// Returns the value, borrowed while the inventory lives; NULL when it is not set or not of its type.
    pub fn rstream_inventory_property(
        inventory: *const rstream_inventory,
        index: usize,
        name: *const c_char,
    ) -> *const c_char;
    /// Names of the properties that are set, "labels.\<key\>" for each label.
    ///
    /// - `index`: which tunnel or client, from 0
    /// - `nth`: which name, from 0
    ///
    /// Returns the name, borrowed while the inventory lives; NULL past the last one.
    pub fn rstream_inventory_property_name(
        inventory: *const rstream_inventory,
        index: usize,
        nth: usize,
    ) -> *const c_char;
    /// Where others reach a listed tunnel, in the words of rstream_tunnel_forwarding_address().
    ///
    /// - `index`: from 0
    ///
    /// Returns the address, borrowed while the inventory lives; NULL for a client and past the last one.
    pub fn rstream_inventory_forwarding_address(inventory: *const rstream_inventory, index: usize) -> *const c_char;
    /// All of it as one JSON document on one line, with whatever else the engine told: an array of objects for a list,
    /// an object for one tunnel. For bindings, whose language reads JSON.
    ///
    /// Returns the document, borrowed while the inventory lives; NULL for NULL.
    pub fn rstream_inventory_json(inventory: *const rstream_inventory) -> *const c_char;
    /// Frees an inventory.
    ///
    /// - `inventory`: may be NULL
    pub fn rstream_inventory_free(inventory: *mut rstream_inventory);
    /// Watches tunnels and clients come and go. Nothing is lost or told twice between the snapshot and what follows.
    /// How it ends, and that it could not even begin, tells rstream_watch_on_end(). With RSTREAM_WATCH_RECONNECT a
    /// watch that has begun ends only when the engine refuses it (RSTREAM_EENGINE_API_HTTP with a status below 500) or
    /// sends what is no event; gaps show as another snapshot.
    ///
    /// The events are server-sent events of the engine's API (/api/sse), which may pause for as long as they like, or
    /// with RSTREAM_WATCH_WEBSOCKET messages of a WebSocket (/api/websocket): then the engine is sent a ping every 20
    /// s, and one that is silent for 90 s, or does not take a ping within 5 s, is taken for gone
    /// (RSTREAM_EOPERATION_TIMEOUT).
    ///
    /// - `tunnels`: filters of RSTREAM_TUNNELS, copied; NULL means all
    /// - `clients`: filters of RSTREAM_CLIENTS, copied; NULL means all
    /// - `flags`: 0 or several of rstream_watch_flags
    /// - `out`: receives the watch; end it with rstream_watch_close()
    /// - `cb`: called for each event
    ///
    /// Returns 0; UV_EINVAL, also for filters of the other resource and unknown flags; or a code (rstream.h).
    pub fn rstream_client_watch(
        client: *mut rstream_client,
        tunnels: *const rstream_filters,
        clients: *const rstream_filters,
        flags: c_int,
        out: *mut *mut rstream_watch,
        cb: rstream_event_cb,
        data: *mut c_void,
    ) -> c_int;
    /// Sets the callback for the end of the watch; NULL removes it. One that is set after the end is still told.
    ///
    /// - `cb`: called once
    ///
    /// Returns 0 or a code (rstream.h).
    pub fn rstream_watch_on_end(watch: *mut rstream_watch, cb: rstream_watch_end_cb, data: *mut c_void) -> c_int;
    /// Ends a watch; no event comes any more.
    ///
    /// Returns 0 or a code (rstream.h).
    pub fn rstream_watch_close(watch: *mut rstream_watch, cb: rstream_close_cb, data: *mut c_void) -> c_int;
    /// What kind of event it is.
    ///
    /// Returns "state.initial", "tunnel.created"...; borrowed like the event; NULL for NULL.
    pub fn rstream_event_type(event: *const rstream_event) -> *const c_char;
    /// All of the event as one JSON document on one line, with whatever else the engine told. For bindings, whose
    /// language reads JSON.
    ///
    /// Returns the document, borrowed like the event; NULL for NULL.
    pub fn rstream_event_json(event: *const rstream_event) -> *const c_char;
    /// What the event is about: all tunnels or clients of a snapshot, the one that has come, changed or gone.
    ///
    /// - `resource`: RSTREAM_TUNNELS or RSTREAM_CLIENTS
    ///
    /// Returns an inventory, perhaps without items, borrowed like the event and not to be freed; NULL for NULL and for
    /// another resource.
    pub fn rstream_event_inventory(event: *const rstream_event, resource: c_int) -> *const rstream_inventory;
}
