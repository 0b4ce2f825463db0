/* SPDX-License-Identifier: Apache-2.0 */
#include "pump.h"

#include <stdio.h>

/* More than this many bytes that wait on one side stop the source on the other. */
enum { HIGH_WATER = 256 * 1024 };

static void closed_one(pump_t *pump) {
  if (--pump->open == 0) pump->on_end(pump);
}

static void on_stream_closed(void *data) {
  closed_one(data);
}

static void on_local_closed(local_t *end) {
  closed_one(end->data);
}

static void end_now(pump_t *pump) {
  bool is_failed = pump->failed != PUMP_OK;
  pump->is_over = true;
  (is_failed ? local_reset : local_close)(pump->source);
  (is_failed ? local_reset : local_close)(pump->sink);
  int status = (is_failed ? rstream_stream_reset : rstream_stream_close)(pump->stream, on_stream_closed, pump);
  /* It was not open any more. */
  if (status != 0) closed_one(pump);
}

static void fail(pump_t *pump, int how, const char *text) {
  if (pump->is_over) return;
  pump->failed = how;
  snprintf(pump->failure, sizeof pump->failure, "%s", text);
  end_now(pump);
}

static void fail_local(pump_t *pump, const char *attempt, int status) {
  char text[256];
  snprintf(text, sizeof text, "%s: %s", attempt, rstream_strerror(status));
  fail(pump, PUMP_LOCAL_FAILED, text);
}

static void fail_stream(pump_t *pump, int status) {
  fail(pump, PUMP_STREAM_FAILED, rstream_strerror(status));
}

static void end_if_done(pump_t *pump) {
  if (!pump->is_over && pump->sink_ended && pump->stream_shut) end_now(pump);
}

/* From the stream to the sink. */

static void end_sink(pump_t *pump) {
  pump->sink_ended = true;
  local_shutdown(pump->sink);
  end_if_done(pump);
}

static void on_stream_read(rstream_stream *stream, const uint8_t *bytes, size_t len, const rstream_error *error,
                           void *data) {
  pump_t *pump = data;
  if (pump->is_over) return;
  if (error) {
    fail(pump, PUMP_STREAM_FAILED, rstream_error_message(error));
  } else if (len == 0) {
    pump->stream_ended = true;
    if (local_queued(pump->sink) == 0) end_sink(pump);
  } else {
    pump->bytes_in += len;
    int status = local_write(pump->sink, bytes, len);
    if (status != 0) {
      fail_local(pump, "write", status);
    } else if (local_queued(pump->sink) > HIGH_WATER) {
      pump->stream_waits = true;
      rstream_stream_read_stop(stream);
    }
  }
}

static void on_sink_drained(local_t *sink, int status) {
  pump_t *pump = sink->data;
  if (pump->is_over) return;
  if (status < 0) {
    fail_local(pump, "write", status);
  } else if (pump->stream_ended) {
    if (!pump->sink_ended) end_sink(pump);
  } else if (pump->stream_waits) {
    pump->stream_waits = false;
    status = rstream_stream_read_start(pump->stream, on_stream_read, pump);
    if (status != 0) fail_stream(pump, status);
  }
}

/* From the source to the stream. */

static void on_stream_written(rstream_stream *stream, const rstream_error *error, void *data) {
  pump_t *pump = data;
  if (pump->is_over) return;
  if (error) {
    fail(pump, PUMP_STREAM_FAILED, rstream_error_message(error));
  } else if (!pump->source_ended && rstream_stream_write_queue_size(stream) <= HIGH_WATER) {
    local_read_start(pump->source);
  }
}

static void on_stream_shut(rstream_stream *stream, const rstream_error *error, void *data) {
  pump_t *pump = data;
  (void)stream;
  if (pump->is_over) return;
  if (error) {
    fail(pump, PUMP_STREAM_FAILED, rstream_error_message(error));
  } else {
    pump->stream_shut = true;
    end_if_done(pump);
  }
}

static void on_source_read(local_t *source, const void *bytes, size_t count, int status) {
  pump_t *pump = source->data;
  if (pump->is_over) return;
  if (status < 0) {
    fail_local(pump, "read", status);
    return;
  }
  if (count == 0) {
    pump->source_ended = true;
    status = rstream_stream_shutdown(pump->stream, on_stream_shut, pump);
  } else {
    rstream_buf buf = {bytes, count};
    pump->bytes_out += count;
    status = rstream_stream_write(pump->stream, &buf, 1, on_stream_written, pump);
    if (rstream_stream_write_queue_size(pump->stream) > HIGH_WATER) local_read_stop(source);
  }
  if (status != 0) fail_stream(pump, status);
}

void pump_start(pump_t *pump, rstream_stream *stream, local_t *source, local_t *sink) {
  pump->stream = stream;
  pump->source = source;
  pump->sink = sink;
  pump->open = source == sink ? 2 : 3;
  source->data = sink->data = pump;
  source->on_closed = sink->on_closed = on_local_closed;
  source->on_read = on_source_read;
  sink->on_drained = on_sink_drained;
  int status = rstream_stream_read_start(stream, on_stream_read, pump);
  if (status != 0) {
    fail_stream(pump, status);
    return;
  }
  local_read_start(source);
}

void pump_cancel(pump_t *pump) {
  fail(pump, PUMP_CANCELLED, "cancelled");
}
