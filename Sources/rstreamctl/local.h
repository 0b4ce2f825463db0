/* SPDX-License-Identifier: Apache-2.0 */
/* A local end of bytes: a socket, a pipe, a terminal or a file, to read from, to write to, or both. */
#ifndef RSTREAMCTL_LOCAL_H
#define RSTREAMCTL_LOCAL_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

typedef struct local local_t;
typedef struct local_piece local_piece;

struct local {
  void *data;
  /* Bytes have been read. None is the end, a negative status an error; nothing comes after those two. */
  void (*on_read)(local_t *end, const void *bytes, size_t count, int status);
  /* Everything that was written has left (status 0), or writing has failed. */
  void (*on_drained)(local_t *end, int status);
  void (*on_closed)(local_t *end);
  /* Whether an end of the own direction is a close: of what is only written to. */
  bool closes_when_shut;

  uv_loop_t *loop;
  union {
    uv_handle_t any;
    uv_stream_t stream;
    uv_pipe_t pipe;
    uv_tty_t tty;
    uv_tcp_t tcp;
    uv_timer_t none; /* files have no handle */
  } handle;
  uv_file file;
  int flags; /* the descriptor's, before libuv changed them */
  bool is_file, reads, is_reading_file, is_writing_file, is_closing, is_handle_closed;
  uv_fs_t read_request, write_request;
  uv_shutdown_t shutdown_request;
  local_piece *first, *last; /* what waits to be written to a file */
  size_t queued;
  int error;
  char buffer[65536];
};

/* Makes an end of an open descriptor of this process. Returns 0 or libuv's code. */
int local_open(local_t *end, uv_loop_t *loop, uv_file file);

/* Makes an end of the TCP connection that waits at a listener. Returns 0, or libuv's code: then it is still to be closed. */
int local_accept(local_t *end, uv_stream_t *listener);

void local_read_start(local_t *end);
void local_read_stop(local_t *end);

/* Writes bytes; what has to wait is copied. Returns 0 or libuv's code. */
int local_write(local_t *end, const void *bytes, size_t count);

/* Bytes that wait to be written. */
size_t local_queued(const local_t *end);

/* Ends the own direction, when all has been written. */
void local_shutdown(local_t *end);

/* Closes at once; nothing but `on_closed` is called any more. */
void local_close(local_t *end);

/* The same, and the other side of a TCP connection sees a reset. */
void local_reset(local_t *end);

#endif
