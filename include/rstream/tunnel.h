/* SPDX-License-Identifier: Apache-2.0 */
/**
 * tunnel.h - creating tunnels and receiving their streams. Tunnels that carry packets: packets.h.
 *
 * Properties are named strings. Lists are comma-separated; labels are set one by one as "labels.<key>".
 *
 * | name                         | type   | meaning |
 * |------------------------------|--------|---------|
 * | name                         | string | dial key of a private tunnel; optional |
 * | type                         | string | bytestream, datagram; the engine picks it from the protocol |
 * | publish                      | bool   | true: reachable from outside; false: by dialing only; the engine's default is true |
 * | protocol                     | string | http, tls, tcp, dtls, quic, webtty |
 * | labels.<key>                 | string | a label |
 * | geoip                        | list   | ISO 3166-1 alpha-2 countries that may connect |
 * | trusted_ips                  | list   | addresses or CIDR ranges that may connect |
 * | hostname                     | string | host name asked for |
 * | port                         | int    | published TCP port asked for, 1..65535 |
 * | tls_mode                     | string | terminated, passthrough |
 * | tls_alpns                    | list   | ALPN protocols of the published endpoint |
 * | tls_min_version              | string | tls1.2, tls1.3 |
 * | tls_ciphers                  | list   | cipher suites |
 * | mtls_auth                    | bool   | clients need a certificate |
 * | http_version                 | string | version spoken to the local service: http/1.1, h2c, h3 |
 * | http_use_tls                 | bool   | deprecated spelling of upstream_tls |
 * | upstream_tls                 | bool   | the engine speaks TLS inside the tunnel |
 * | datagram_guaranteed_delivery | bool   | packets travel on reliable streams |
 * | allow_cross_region_routing   | bool   | other regions may route to this tunnel |
 * | token_auth                   | bool   | HTTP clients need a token |
 * | rstream_auth                 | bool   | HTTP clients log in |
 * | challenge_mode               | bool   | browsers solve a challenge |
 *
 * Additional names that the engine fills in and rstream_tunnel_property() returns: id, creation_date (RFC 3339), host
 * (hostname, with the port unless it is 443). rstream_tunnel_property_name() lists what is set.
 */
#ifndef RSTREAM_TUNNEL_H
#define RSTREAM_TUNNEL_H

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Makes empty tunnel options.
 * @param out  receives the options; free them with rstream_tunnel_options_free()
 * @return 0 or UV_EINVAL
 */
RSTREAM_API int rstream_tunnel_options_new(rstream_tunnel_options **out);

/**
 * Sets one property.
 * @param name   its name in the table above
 * @param value  its value as text; NULL unsets it (an unset boolean is not the same as "false")
 * @return 0, or RSTREAM_EINVALID_TUNNEL for an unknown or read-only name or a bad value; `error` (may be NULL) tells why
 */
RSTREAM_API int rstream_tunnel_options_set(rstream_tunnel_options *options, const char *name, const char *value,
                                           rstream_error **error);

/** Frees tunnel options, or does nothing for NULL. */
RSTREAM_API void rstream_tunnel_options_free(rstream_tunnel_options *options);

/**
 * Result of rstream_control_create_tunnel().
 * @param tunnel  the tunnel, owned by the callee, who ends it with rstream_tunnel_close(); NULL on failure
 */
typedef void (*rstream_create_tunnel_cb)(rstream_tunnel *tunnel, const rstream_error *error, void *data);

/**
 * Asks the engine for a tunnel. Combinations of properties that can never work are refused here with a negative return
 * value; all else is the engine's to decide and arrives in `cb` as RSTREAM_EENGINE.
 * @param options  copied; NULL means no property at all
 * @param cb       receives the tunnel, or the error: RSTREAM_EENGINE, RSTREAM_EOPERATION_TIMEOUT,
 *                 RSTREAM_ECONTROL_CLOSED, RSTREAM_EUNSUPPORTED_TUNNEL (a type that this build does not know), or
 *                 what ended the control channel
 * @return 0, RSTREAM_EINVALID_TUNNEL, or a code (rstream.h)
 */
RSTREAM_API int rstream_control_create_tunnel(rstream_control *control, const rstream_tunnel_options *options,
                                              rstream_create_tunnel_cb cb, void *data, rstream_error **error);

/**
 * A property as the engine confirmed it.
 * @param name  its name in the table above, or one that the engine fills in
 * @return its value as text, lists comma-separated, borrowed while the handle lives; NULL when unset
 */
RSTREAM_API const char *rstream_tunnel_property(const rstream_tunnel *tunnel, const char *name);

/**
 * Names of the properties that the engine confirmed, "labels.<key>" for each label, in no particular order.
 * @param index  from 0
 * @return the name, borrowed while the handle lives; NULL past the last one
 */
RSTREAM_API const char *rstream_tunnel_property_name(const rstream_tunnel *tunnel, size_t index);

/**
 * Where others reach the tunnel, as a text for people: "https://host", "host:port (tls)", "rstrm://name (unpublished)".
 * @return the text, borrowed while the handle lives; NULL for NULL
 */
RSTREAM_API const char *rstream_tunnel_forwarding_address(const rstream_tunnel *tunnel);

/**
 * A stream has come in.
 * @param tunnel  the tunnel it came through
 * @param stream  the stream, owned by the callee, who ends it with rstream_stream_close()
 */
typedef void (*rstream_stream_cb)(rstream_tunnel *tunnel, rstream_stream *stream, void *data);

/**
 * Has incoming streams given to a callback. Until this or rstream_tunnel_forward() is called 10 streams wait; further
 * ones wait up to 5 s for a place and are then refused.
 * @param cb  receives each stream; with NULL streams wait again
 * @return 0; RSTREAM_EUNSUPPORTED_TUNNEL when the tunnel carries packets; or a code (rstream.h)
 */
RSTREAM_API int rstream_tunnel_listen(rstream_tunnel *tunnel, rstream_stream_cb cb, void *data);

/**
 * Observes rstream_tunnel_forward(): called when a forwarded connection begins and when it ends, for one whose local
 * service cannot be reached both at once, with the error. Connections that outlive their tunnel are not observed any
 * more.
 * @param tunnel     the tunnel that was forwarded
 * @param event      a rstream_forward_event
 * @param peer       address of the remote end, or ""; borrowed for the call
 * @param bytes_in   at the end: bytes carried to the local service
 * @param bytes_out  at the end: bytes carried from the local service
 * @param error      at the end: what ended the connection, or NULL
 */
typedef void (*rstream_forward_cb)(rstream_tunnel *tunnel, int event, const char *peer, uint64_t bytes_in,
                                   uint64_t bytes_out, const rstream_error *error, void *data);

/** The values of `event` in rstream_forward_cb. */
typedef enum rstream_forward_event {
  RSTREAM_FORWARD_OPENED = 0, /**< a connection begins */
  RSTREAM_FORWARD_CLOSED = 1  /**< a connection has ended */
} rstream_forward_event;

/**
 * Connects every incoming stream to a local service; bytes never pass through the caller. Half close and reset are
 * carried over both ways.
 *
 * A tunnel that carries packets is connected to a UDP service: each packet channel gets a socket of its own, so that the
 * service tells remote ends apart by their ports. It ends when the other side closes it, or when no packet has come
 * either way for 120 s; 1024 are forwarded at once, further ones refused. Packets that the service does not take in time
 * are lost, as with UDP everywhere. A service that refuses packets without ever having sent one ends the channel.
 * @param target  "host:port", "[v6]:port", ":port" or "port" (this machine), or "unix:/path"; for packets the same
 *                without the last, where "udp:" may stand in front
 * @param cb      observer; may be NULL
 * @param error   may be NULL
 * @return 0, RSTREAM_EINVALID_LOCAL_ENDPOINT, or a code (rstream.h)
 */
RSTREAM_API int rstream_tunnel_forward(rstream_tunnel *tunnel, const char *target, rstream_forward_cb cb, void *data,
                                       rstream_error **error);

/**
 * Tells when a tunnel ends without rstream_tunnel_close(): the engine revoked it (`error` NULL) or the control channel
 * ended (`error` says why). The handle still has to be closed.
 * @param tunnel  the tunnel that has ended
 */
typedef void (*rstream_tunnel_end_cb)(rstream_tunnel *tunnel, const rstream_error *error, void *data);

/**
 * Sets the callback for the end of the tunnel. When it has ended already, the callback is called soon.
 * @param cb  called at most once; NULL takes an earlier one away
 * @return 0 or a code (rstream.h)
 */
RSTREAM_API int rstream_tunnel_on_end(rstream_tunnel *tunnel, rstream_tunnel_end_cb cb, void *data);

/**
 * Closes the tunnel. Streams given out already go on, waiting ones are refused, forwarded connections go on until their
 * ends close. @return 0 or a code (rstream.h)
 */
RSTREAM_API int rstream_tunnel_close(rstream_tunnel *tunnel, rstream_close_cb cb, void *data);

#ifdef __cplusplus
}
#endif

#endif /* RSTREAM_TUNNEL_H */
