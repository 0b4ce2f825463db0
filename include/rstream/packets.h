/* SPDX-License-Identifier: Apache-2.0 */
/**
 * packets.h - packet channels, accepted from a datagram tunnel or dialed.
 *
 * A packet channel carries packets between two ends, each as it was sent: none is split or joined with another, an empty
 * one arrives as an empty one. A datagram tunnel (tunnel.h: type=datagram, or a protocol that implies it) gives one
 * packet channel for each remote end, as a UDP server would tell its clients apart by their addresses.
 *
 * What packets travel on is the channel's path (rstream_packets_path()):
 *
 * | path          | meaning |
 * |---------------|---------|
 * | stream        | frames on a reliable stream: a packet that was taken arrives, in order, or the channel fails. Packets |
 * |               | of up to 65535 bytes. A channel that is not read slows its sender down and nobody else. |
 * | quic-datagram | QUIC datagrams: packets may be lost and overtake each other. rstream_packets_max_size() tells how |
 * |               | long they may be. While a channel is not read 64 packets wait, further ones are dropped. |
 *
 * Sending never waits: 64 packets of each channel may wait to be sent, or fewer when they have 256 KiB; a further one is
 * dropped and counted, and the caller is told (UV_EAGAIN). Who must not lose packets, with datagram_guaranteed_delivery
 * for instance, sends it again when the callback of rstream_packets_on_drain() says that there is room.
 *
 * Channels whose QUIC datagrams share a connection take turns, packet by packet. When 1024 packets of all of them wait,
 * none may add to what waits of its own.
 *
 * Packet channels belong to their client: they go on when the tunnel or the control channel they came through has ended.
 * Only the ends of QUIC datagrams' channels are told through the control channel, at the tunnel's side: after it nobody
 * there hears that the other side has closed one.
 */
#ifndef RSTREAM_PACKETS_H
#define RSTREAM_PACKETS_H

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Result of rstream_client_dial_packets().
 * @param packets  the packet channel, owned by the callee, who ends it with rstream_packets_close(); NULL on failure
 */
typedef void (*rstream_dial_packets_cb)(rstream_packets *packets, const rstream_error *error, void *data);

/**
 * Opens a packet channel to a private datagram tunnel. zeroRtt means the same as with rstream_client_dial(): with it (the
 * default) an unknown tunnel shows as a channel that the engine closes at once.
 * @param name_or_id  name or id of the tunnel; surrounding white space is ignored
 * @param cb          receives the packet channel, or the error as with rstream_client_connect()
 * @return 0; RSTREAM_EINVALID_TUNNEL for a blank name; or a code (rstream.h)
 */
RSTREAM_API int rstream_client_dial_packets(rstream_client *client, const char *name_or_id, rstream_dial_packets_cb cb,
                                            void *data);

/**
 * A packet channel has come in.
 * @param tunnel   the tunnel it came through
 * @param packets  the packet channel, owned by the callee, who ends it with rstream_packets_close()
 */
typedef void (*rstream_packets_cb)(rstream_tunnel *tunnel, rstream_packets *packets, void *data);

/**
 * Has incoming packet channels of a datagram tunnel given to a callback. Until this or rstream_tunnel_forward() is called
 * 10 wait; further ones wait up to 5 s for a place and are then refused.
 * @param cb  receives each packet channel; with NULL they wait again
 * @return 0; RSTREAM_EUNSUPPORTED_TUNNEL when the tunnel carries byte streams; or a code (rstream.h)
 */
RSTREAM_API int rstream_tunnel_listen_packets(rstream_tunnel *tunnel, rstream_packets_cb cb, void *data);

/**
 * A packet has arrived, or no more will: then `packet` is NULL and the callback is not called again.
 * @param packets  the packet channel that is read
 * @param packet   the packet, borrowed for the call; not NULL for an empty packet, NULL at the end
 * @param len      its length, 0..65535
 * @param error    at the end: what has broken the channel (UV_ECONNRESET..., or RSTREAM_EENGINE with what the other side
 *                 says of it), or NULL when the other side closed it; the channel still has to be closed
 */
typedef void (*rstream_packet_cb)(rstream_packets *packets, const uint8_t *packet, size_t len,
                                  const rstream_error *error, void *data);

/**
 * Starts reading.
 * @param cb  called for each packet, until the end or rstream_packets_read_stop()
 * @return 0, UV_EALREADY, RSTREAM_ESTREAM_CLOSED, or a code (rstream.h)
 */
RSTREAM_API int rstream_packets_read_start(rstream_packets *packets, rstream_packet_cb cb, void *data);

/** Stops reading; may be called from inside the read callback. @return 0 or a code (rstream.h) */
RSTREAM_API int rstream_packets_read_stop(rstream_packets *packets);

/**
 * Sends a packet. It is taken over before the call returns, or not sent at all.
 * @param packet  the bytes; may be NULL when `len` is 0
 * @param len     their number, up to rstream_packets_max_size()
 * @param error   may be NULL
 * @return 0; UV_EAGAIN when as many packets wait as may (this one is dropped and counted); UV_EMSGSIZE when it is too long
 *         (`error` says how long it may be); UV_EPIPE when the other side has closed the channel; RSTREAM_ESTREAM_CLOSED; what has
 *         broken the channel; or a code (rstream.h)
 */
RSTREAM_API int rstream_packets_send(rstream_packets *packets, const void *packet, size_t len, rstream_error **error);

/**
 * Packets that waited to be sent have left: there is room for more. Or the channel has ended, of which
 * rstream_packets_send() tells.
 * @param packets  the packet channel
 */
typedef void (*rstream_packets_drain_cb)(rstream_packets *packets, void *data);

/**
 * Sets a callback for when packets that waited to be sent have left. It may be called any number of times.
 * @param cb  NULL takes an earlier one away
 * @return 0 or a code (rstream.h)
 */
RSTREAM_API int rstream_packets_on_drain(rstream_packets *packets, rstream_packets_drain_cb cb, void *data);

/**
 * How long a packet may be that is sent on this channel now. On a path of QUIC datagrams it may change with the network.
 * @return number of bytes, up to 65535; 0 for NULL
 */
RSTREAM_API size_t rstream_packets_max_size(const rstream_packets *packets);

/**
 * Packets of this channel that wait to be sent.
 * @return their number, 0..64; 64 whenever no more is taken, for the bytes of fewer packets too; 0 for NULL
 */
RSTREAM_API size_t rstream_packets_queue_size(const rstream_packets *packets);

/**
 * Counts of a packet channel since it was opened.
 *
 * | name              | what is counted |
 * |-------------------|-----------------|
 * | sent              | packets that were taken to be sent |
 * | received          | packets that were given to the read callback |
 * | dropped_sending   | packets that were not taken, as too many waited or they were too long, or that became too long |
 * |                   | for the network while they waited |
 * | dropped_receiving | packets that arrived while the channel was not read and as many waited as may |
 *
 * @param name  one of the table
 * @return the count; 0 for an unknown name and for NULL
 */
RSTREAM_API uint64_t rstream_packets_count(const rstream_packets *packets, const char *name);

/**
 * What the packets travel on.
 * @return "stream" or "quic-datagram", borrowed while the handle lives; NULL for NULL
 */
RSTREAM_API const char *rstream_packets_path(const rstream_packets *packets);

/**
 * Address of the remote end as the engine reported it.
 * @return "192.0.2.10", "2001:db8::1" and the like, "" when unknown, borrowed while the handle lives; NULL for NULL
 */
RSTREAM_API const char *rstream_packets_peer(const rstream_packets *packets);

/**
 * Id of the stream that the packet channel is for the engine: what an accepted channel is told apart from others by.
 * @return the id, or "" for channels dialed with zeroRtt, borrowed while the handle lives; NULL for NULL
 */
RSTREAM_API const char *rstream_packets_stream_id(const rstream_packets *packets);

/**
 * Closes the packet channel: packets that were taken are still sent (for at most 10 s, in the background), what arrives is
 * dropped, and the other side sees the channel end. @return 0 or a code (rstream.h)
 */
RSTREAM_API int rstream_packets_close(rstream_packets *packets, rstream_close_cb cb, void *data);

#ifdef __cplusplus
}
#endif

#endif /* RSTREAM_PACKETS_H */
