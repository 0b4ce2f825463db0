/* SPDX-License-Identifier: Apache-2.0 */
/**
 * stream.h - byte streams, accepted from a tunnel or dialed.
 *
 * A stream has two directions that end independently of each other, as those of a TCP connection do. Streams belong to
 * their client: they go on when the tunnel or the control channel they came through has ended.
 */
#ifndef RSTREAM_STREAM_H
#define RSTREAM_STREAM_H

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Bytes have arrived, or nothing more will. After the end or an error the callback is not called again.
 * @param stream  the stream that is read
 * @param bytes   the bytes, borrowed for the call; may be NULL when `len` is 0
 * @param len     their number; 0 with `error` NULL: the other side has ended its direction, writing may go on
 * @param error   the stream has failed (UV_ECONNRESET...): close it; NULL otherwise
 */
typedef void (*rstream_read_cb)(rstream_stream *stream, const uint8_t *bytes, size_t len, const rstream_error *error,
                                void *data);

/**
 * Starts reading. Until then, and after rstream_stream_read_stop(), bytes wait on the other side: a stream that is not
 * read slows its sender down and nobody else.
 * @param cb  called for all that arrives, until the end, an error or rstream_stream_read_stop()
 * @return 0, UV_EALREADY, RSTREAM_ESTREAM_CLOSED, or a code (rstream.h)
 */
RSTREAM_API int rstream_stream_read_start(rstream_stream *stream, rstream_read_cb cb, void *data);

/** Stops reading; may be called from inside the read callback. @return 0 or a code (rstream.h) */
RSTREAM_API int rstream_stream_read_stop(rstream_stream *stream);

/**
 * The write was handed to the operating system, or it failed.
 * @param stream  the stream that was written to
 */
typedef void (*rstream_write_cb)(rstream_stream *stream, const rstream_error *error, void *data);

/**
 * Writes bytes. They are taken over before the call returns; the buffers may be reused at once.
 * @param bufs  the buffers, sent one after the other; may be NULL when `n` is 0
 * @param n     number of buffers
 * @param cb    called when the bytes have left the process: wait for it before writing much more, or watch
 *              rstream_stream_write_queue_size(); may be NULL
 * @return 0, UV_EPIPE after rstream_stream_shutdown(), RSTREAM_ESTREAM_CLOSED, UV_ENOBUFS when more than 64 MiB wait, or
 *         a code (rstream.h)
 */
RSTREAM_API int rstream_stream_write(rstream_stream *stream, const rstream_buf *bufs, size_t n, rstream_write_cb cb,
                                     void *data);

/**
 * What was written but not yet handed to the operating system.
 * @return number of bytes; 0 for NULL
 */
RSTREAM_API size_t rstream_stream_write_queue_size(const rstream_stream *stream);

/**
 * Ends the own direction after what was written (half close); reading may go on. `cb` may be NULL.
 * @return 0, UV_EALREADY, RSTREAM_ESTREAM_CLOSED, or a code (rstream.h)
 */
RSTREAM_API int rstream_stream_shutdown(rstream_stream *stream, rstream_write_cb cb, void *data);

/**
 * Address of the remote end as the engine reported it.
 * @return "192.0.2.10", "2001:db8::1" and the like, "" when unknown, borrowed while the handle lives; NULL for NULL
 */
RSTREAM_API const char *rstream_stream_peer(const rstream_stream *stream);

/**
 * Id of the stream as the engine knows it.
 * @return the id, or "" for streams dialed with zeroRtt, borrowed while the handle lives; NULL for NULL
 */
RSTREAM_API const char *rstream_stream_id(const rstream_stream *stream);

/**
 * Turns the stream into a connected socket for code that only knows file descriptors. The handle is consumed: it must not
 * be used again. The descriptor is a non-blocking stream socket, owned by the caller; the loop must go on running to carry
 * its bytes (on another thread when the caller's code blocks). Bytes that were not read yet come out of the descriptor,
 * bytes that wait to be written are still sent; their write callbacks are called with RSTREAM_ESTREAM_CLOSED before this
 * call returns.
 * @param fd  receives the descriptor
 * @return 0, UV_EMFILE..., RSTREAM_ESTREAM_CLOSED, or a code (rstream.h); on failure the handle stays valid
 */
RSTREAM_API int rstream_stream_into_fd(rstream_stream *stream, int *fd);

/**
 * Closes the stream: what was written is still sent (for at most 10 s, in the background), what arrives is dropped.
 * @return 0 or a code (rstream.h)
 */
RSTREAM_API int rstream_stream_close(rstream_stream *stream, rstream_close_cb cb, void *data);

/**
 * Aborts the stream: what waits is dropped and the other side sees a reset (UV_ECONNRESET) instead of an end.
 * @return 0 or a code (rstream.h)
 */
RSTREAM_API int rstream_stream_reset(rstream_stream *stream, rstream_close_cb cb, void *data);

#ifdef __cplusplus
}
#endif

#endif /* RSTREAM_STREAM_H */
