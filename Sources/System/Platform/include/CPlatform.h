/* SPDX-License-Identifier: Apache-2.0 */
/* What Linux offers and Swift cannot import: variadic calls, macros and atomics. */
#ifndef CPLATFORM_H
#define CPLATFORM_H

#include <stddef.h>
#include <stdint.h>

#include "datagrams.h"

/* A non-blocking, close-on-exec stream socket of a family. Returns the descriptor or -errno. */
int rstream_stream_socket(int family);

/* The same with Multipath TCP (RFC 8684). Systems without it return -EPROTONOSUPPORT or the like. */
int rstream_multipath_socket(int family);

/* A non-blocking, close-on-exec datagram socket of a family. Returns the descriptor or -errno. */
int rstream_datagram_socket(int family);

/* Accepts a connection as a non-blocking, close-on-exec socket; writes the peer's address to the sockaddr_storage at
 * `address`. Returns the descriptor or -errno. */
int rstream_accept(int listener, void *address);

/* A pair of connected, non-blocking, close-on-exec Unix stream sockets. Returns 0 or -errno. */
int rstream_socket_pair(int pair[2]);

/* send() and recv() that never raise SIGPIPE. Return the count or -errno. */
long rstream_send(int fd, const void *bytes, size_t count);
long rstream_receive(int fd, void *bytes, size_t count);

/* open(path, O_RDONLY | O_CLOEXEC) without variadic arguments. Returns the descriptor or -errno. */
int rstream_open_read(const char *path);

/* open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode). Returns the descriptor or -errno. */
int rstream_open_create(const char *path, unsigned mode);

/* open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600), to lock it. Returns the descriptor or -errno. */
int rstream_open_lock(const char *path);

/* A stack of posted calls that many threads push to and one thread empties, without a lock. */
typedef struct rstream_posted {
  struct rstream_posted *next;
  void (*call)(void *);
  void *data;
} rstream_posted;

typedef struct rstream_post_box rstream_post_box;

/* Makes an empty box, or returns NULL when memory is short. Freed with free(). */
rstream_post_box *rstream_post_box_new(void);

/* Pushes a call. Returns 0, or -ENOMEM. */
int rstream_post_box_push(rstream_post_box *box, void (*call)(void *), void *data);

/* Takes everything that was pushed, oldest first. The caller frees each element with free(). */
rstream_posted *rstream_post_box_take(rstream_post_box *box);

#endif
