/* SPDX-License-Identifier: Apache-2.0 */
/**
 * types.h - opaque handles, the export macro and the types that several headers share.
 */
#ifndef RSTREAM_TYPES_H
#define RSTREAM_TYPES_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) || defined(__clang__)
#define RSTREAM_API __attribute__((visibility("default")))
#else
#define RSTREAM_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rstream_error rstream_error;
typedef struct rstream_loop rstream_loop;
typedef struct rstream_config rstream_config;
typedef struct rstream_client rstream_client;
typedef struct rstream_control rstream_control;
typedef struct rstream_tunnel_options rstream_tunnel_options;
typedef struct rstream_tunnel rstream_tunnel;
typedef struct rstream_stream rstream_stream;
typedef struct rstream_engine_options rstream_engine_options;
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
