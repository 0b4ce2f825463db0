/* SPDX-License-Identifier: Apache-2.0 */
/* Carries bytes between a stream and local ends, both ways, with half close and backpressure. */
#ifndef RSTREAMCTL_PUMP_H
#define RSTREAMCTL_PUMP_H

#include <rstream.h>
#include <stdbool.h>

#include "local.h"

typedef struct pump {
  void *data;
  /* Everything has ended and is closed: `failed` says how. */
  void (*on_end)(struct pump *pump);

  rstream_stream *stream;
  local_t *source; /* read from */
  local_t *sink;   /* written to; may be the source */
  uint64_t bytes_in, bytes_out;
  enum { PUMP_OK, PUMP_STREAM_FAILED, PUMP_LOCAL_FAILED, PUMP_CANCELLED } failed;
  char failure[512];

  int open; /* how many of stream, source and sink are not closed yet */
  bool is_over, stream_waits;
  bool stream_ended, sink_ended;  /* what the stream sends has ended; the sink knows */
  bool source_ended, stream_shut; /* and the other way round */
} pump_t;

/* Starts. The local ends are open; they and the stream belong to the pump from now on. */
void pump_start(pump_t *pump, rstream_stream *stream, local_t *source, local_t *sink);

/* Ends at once, as failed when it is not over. */
void pump_cancel(pump_t *pump);

#endif
