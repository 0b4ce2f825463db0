/* SPDX-License-Identifier: Apache-2.0 */
/**
 * types.h - opaque handles, the export macro and the types that several headers share.
 *
 * Handles are pointers to structures that only the library knows. A program gets them from the functions named below and
 * gives each back once.
 */
#ifndef RSTREAM_TYPES_H
#define RSTREAM_TYPES_H

#include <stddef.h>
#include <stdint.h>

/** Marks what the library exports. */
#if defined(__GNUC__) || defined(__clang__)
#define RSTREAM_API __attribute__((visibility("default")))
#else
#define RSTREAM_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** What went wrong (error.h). Plain value; freed with rstream_error_free() unless it is borrowed. */
typedef struct rstream_error rstream_error;

/** The event loop that everything runs on (loop.h). Ended with rstream_loop_close(). */
typedef struct rstream_loop rstream_loop;

/** Settings of a client (config.h). Plain value; freed with rstream_config_free(). */
typedef struct rstream_config rstream_config;

/** A context of a configuration file (config.h). Borrowed for the callback that is given it. */
typedef struct rstream_context rstream_context;

/** A client: an engine and how to reach it (client.h). Ended with rstream_client_close(). */
typedef struct rstream_client rstream_client;

/** A control channel of a client to its engine (client.h). Ended with rstream_control_close(). */
typedef struct rstream_control rstream_control;

/** Properties to ask a tunnel for (tunnel.h). Plain value; freed with rstream_tunnel_options_free(). */
typedef struct rstream_tunnel_options rstream_tunnel_options;

/** A tunnel on a control channel (tunnel.h). Ended with rstream_tunnel_close(). */
typedef struct rstream_tunnel rstream_tunnel;

/** A byte stream, accepted from a tunnel or dialed (stream.h). Ended with rstream_stream_close() or its kin. */
typedef struct rstream_stream rstream_stream;

/** A packet channel, accepted from a tunnel or dialed (packets.h). Ended with rstream_packets_close(). */
typedef struct rstream_packets rstream_packets;

/** What a list is narrowed to (inventory.h). Plain value; freed with rstream_filters_free(). */
typedef struct rstream_filters rstream_filters;

/** Tunnels or clients that an engine listed (inventory.h). Plain value; freed with rstream_inventory_free(). */
typedef struct rstream_inventory rstream_inventory;

/** A watch of what comes and goes at an engine (inventory.h). Ended with rstream_watch_close(). */
typedef struct rstream_watch rstream_watch;

/** Something that has happened at an engine (inventory.h). Borrowed for the callback that is told of it. */
typedef struct rstream_event rstream_event;

/** Settings of an engine (engine.h). Plain value; freed with rstream_engine_options_free(). */
typedef struct rstream_engine_options rstream_engine_options;

/** An embedded engine (engine.h). Ended with rstream_engine_close(). */
typedef struct rstream_engine rstream_engine;

/** A piece of memory to read from. The only structure of this API that callers lay out. */
typedef struct rstream_buf {
  const void *base; /**< first byte; may be NULL when len is 0 */
  size_t len;       /**< number of bytes */
} rstream_buf;

/** Called once when an object has ended; the object's pointer is invalid after this call has returned. */
typedef void (*rstream_close_cb)(void *data);

#ifdef __cplusplus
}
#endif

#endif /* RSTREAM_TYPES_H */
