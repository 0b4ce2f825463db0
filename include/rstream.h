/* SPDX-License-Identifier: Apache-2.0 */
/**
 * rstream.h - tunnels that publish local services and reach private ones.
 *
 * librstream publishes local services and reaches private ones through outbound tunnels. It has two halves: a client
 * (agents and dialers, client.h) and an embeddable engine (the edge, engine.h). Everything runs on a libuv-compatible
 * callback loop (loop.h).
 *
 * Conventions, valid for every function unless its own documentation says otherwise:
 *
 * - Handles are opaque. Objects that live on a loop end with rstream_x_close(x, close_cb, data); plain values end with
 *   rstream_x_free(x). After the close callback has returned the pointer is gone. A close callback may be NULL.
 * - Tunnels belong to their control channel; control channels, streams and packet channels, also accepted ones, to their
 *   client; clients and engines to their loop. Closing a parent ends its children first: operations under way, read and end callbacks
 *   receive one of the ..._CLOSED codes. Until the parent's close callback a child may still be closed: its own close
 *   callback then comes before the parent's. With the parent's callback the pointers of all its children are gone.
 * - Starting an operation returns 0, or a negative code when it could not start: then its callback never runs. A
 *   started operation calls back exactly once, never from inside the call that started it, always on the loop's thread.
 *   `data` is the last argument of the callback and of the call, where only `error` may follow it; the library hands it
 *   on and never looks at it.
 * - Callbacks may call every function of the library, also those that end the object they are about. No exception and no
 *   longjmp() may leave them.
 * - Codes: libuv's negative codes (-errno, e.g. UV_EINVAL) pass through; librstream's own lie below -10000 (error.h).
 * - `const rstream_error *` given to a callback is borrowed for that call and NULL on success. `rstream_error **error`
 *   arguments may be NULL; they receive NULL on success, else an error that is freed with rstream_error_free().
 * - Pointers given to a function must not be NULL unless its documentation says that they may: NULL is refused with
 *   UV_EINVAL, or answered with NULL or 0 by functions that return no code. What an `out` or `fd` points to is written on
 *   success only.
 * - Strings are UTF-8 and NUL-terminated, copied in, borrowed out. Bytes are pointer and length. What is borrowed from a
 *   handle is not changed, not freed and not used any more once the handle is gone.
 * - Every object belongs to one loop and is used on that loop's thread only; rstream_loop_post() is the one exception.
 *   A call from another thread returns RSTREAM_EWRONGTHREAD and changes nothing; functions that return no code are not
 *   called there at all. Calls on a handle that is being closed return one of the ..._CLOSED codes. Plain values belong
 *   to no loop: any thread may use them, one at a time.
 * - The library installs no signal handler and touches neither locale, environment nor global allocator of the process.
 *   After fork() only the parent goes on using existing handles.
 */
#ifndef RSTREAM_H
#define RSTREAM_H

#include "rstream/client.h"
#include "rstream/config.h"
#include "rstream/engine.h"
#include "rstream/error.h"
#include "rstream/inventory.h"
#include "rstream/doctor.h"
#include "rstream/log.h"
#include "rstream/loop.h"
#include "rstream/packets.h"
#include "rstream/stream.h"
#include "rstream/tunnel.h"
#include "rstream/version.h"

#endif /* RSTREAM_H */
