/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on streams: bad arguments, calls after a close, stopping and closing inside callbacks, writes that are owed an
 * answer, and everything that a descriptor has to carry over. */
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "check.h"
#include "world.h"

static void close_stream(struct world *world, rstream_stream *stream) {
  bool closed = false;
  CHECK_INT(rstream_stream_close(stream, set_flag, &closed), 0);
  CHECK(!closed);
  run_until(world->loop, &closed);
}

struct stopper {
  size_t len;
  int calls;
};

static void read_and_stop(rstream_stream *stream, const uint8_t *bytes, size_t len, const rstream_error *error,
                          void *data) {
  struct stopper *stopper = data;
  (void)bytes;
  CHECK(error == NULL && len > 0);
  stopper->len += len;
  stopper->calls++;
  CHECK_INT(rstream_stream_read_stop(stream), 0);
}

static void on_written(rstream_stream *stream, const rstream_error *error, void *data) {
  CHECK(stream != NULL);
  *(int *)data = error ? rstream_error_code(error) : 1;
}

static void bad_arguments(struct world *world) {
  struct stream_pair pair = world_pair(world);
  rstream_stream *stream = pair.dialed;
  struct collector collector = {0};
  int written = 0;
  const rstream_buf no_base = {NULL, 1}, empty = {NULL, 0}, huge = {"x", SIZE_MAX}, large = {"x", (size_t)1 << 40};
  const rstream_buf overflowing[] = {{"x", SIZE_MAX / 2}, {"x", SIZE_MAX / 2}, {"x", 4}};
  CHECK_INT(rstream_stream_read_start(stream, NULL, NULL), UV_EINVAL);
  CHECK_INT(rstream_stream_write(stream, NULL, 1, NULL, NULL), UV_EINVAL);
  CHECK_INT(rstream_stream_write(stream, &no_base, 1, NULL, NULL), UV_EINVAL);
  CHECK_INT(rstream_stream_write(stream, &huge, 1, NULL, NULL), UV_ENOBUFS);
  CHECK_INT(rstream_stream_write(stream, &large, 1, NULL, NULL), UV_ENOBUFS);
  CHECK_INT(rstream_stream_write(stream, overflowing, 3, NULL, NULL), UV_ENOBUFS);
  CHECK_INT(rstream_stream_write(stream, &empty, SIZE_MAX, NULL, NULL), UV_EINVAL);
  CHECK_INT(rstream_stream_into_fd(stream, NULL), UV_EINVAL);

  /* Nothing to write is written, with its callback. */
  CHECK_INT(rstream_stream_write(stream, NULL, 0, on_written, &written), 0);
  RUN_UNTIL(world, written == 1);
  written = 0;
  CHECK_INT(rstream_stream_write(stream, &empty, 1, on_written, &written), 0);
  CHECK_INT(written, 0);
  RUN_UNTIL(world, written == 1);

  CHECK_INT(rstream_stream_read_start(stream, collect, &collector), 0);
  CHECK_INT(rstream_stream_read_stop(stream), 0);
  CHECK_INT(rstream_stream_read_stop(stream), 0);
  close_stream(world, stream);
  close_stream(world, pair.accepted);
  CHECK(!collector.ended);
}

static void calls_after_close(struct world *world) {
  struct stream_pair pair = world_pair(world);
  rstream_stream *stream = pair.dialed;
  const rstream_buf buf = {"x", 1};
  struct collector collector = {0};
  bool closed = false;
  int fd = -1;
  CHECK_INT(rstream_stream_close(stream, set_flag, &closed), 0);
  CHECK_INT(rstream_stream_close(stream, set_flag, &closed), RSTREAM_ESTREAM_CLOSED);
  CHECK_INT(rstream_stream_reset(stream, set_flag, &closed), RSTREAM_ESTREAM_CLOSED);
  CHECK_INT(rstream_stream_read_start(stream, collect, &collector), RSTREAM_ESTREAM_CLOSED);
  CHECK_INT(rstream_stream_read_stop(stream), RSTREAM_ESTREAM_CLOSED);
  CHECK_INT(rstream_stream_write(stream, &buf, 1, NULL, NULL), RSTREAM_ESTREAM_CLOSED);
  CHECK_INT(rstream_stream_shutdown(stream, NULL, NULL), RSTREAM_ESTREAM_CLOSED);
  CHECK_INT(rstream_stream_into_fd(stream, &fd), RSTREAM_ESTREAM_CLOSED);
  CHECK_INT(rstream_stream_write_queue_size(stream), 0);
  CHECK_STR(rstream_stream_peer(stream), "");
  run_until(world->loop, &closed);
  close_stream(world, pair.accepted);
}

/* Writes that wait when their stream is closed are answered before the close callback. */
struct writer {
  int calls, calls_at_close, code;
  bool closed;
};

static void on_owed(rstream_stream *stream, const rstream_error *error, void *data) {
  struct writer *writer = data;
  (void)stream;
  writer->calls++;
  writer->code = rstream_error_code(error);
}

static void on_writer_closed(void *data) {
  struct writer *writer = data;
  writer->calls_at_close = writer->calls;
  writer->closed = true;
}

static void close_with_writes_waiting(struct world *world) {
  enum { SIZE = 8 << 20 };
  char *bytes = calloc(1, SIZE);
  rstream_buf buf = {bytes, SIZE};
  for (int how = 0; how < 2; how++) {
    struct stream_pair pair = world_pair(world);
    struct writer writer = {0};
    for (int i = 0; i < 3; i++) CHECK_INT(rstream_stream_write(pair.dialed, &buf, 1, on_owed, &writer), 0);
    CHECK_INT((how == 0 ? rstream_stream_close : rstream_stream_reset)(pair.dialed, on_writer_closed, &writer), 0);
    CHECK_INT(writer.calls, 0);
    run_until(world->loop, &writer.closed);
    CHECK_INT(writer.calls_at_close, 3);
    CHECK_INT(writer.code, RSTREAM_ESTREAM_CLOSED);
    close_stream(world, pair.accepted);
  }
  free(bytes);
}

static void stop_reading_inside(struct world *world) {
  enum { SIZE = 300000 };
  struct stream_pair pair = world_pair(world);
  char *bytes = calloc(1, SIZE);
  rstream_buf bufs[] = {{bytes, 100}, {bytes, 0}, {bytes, SIZE - 100}};
  struct stopper stopper = {0};
  CHECK_INT(rstream_stream_write(pair.accepted, bufs, 3, NULL, NULL), 0);
  while (stopper.len < SIZE) {
    int before = stopper.calls;
    CHECK_INT(rstream_stream_read_start(pair.dialed, read_and_stop, &stopper), 0);
    RUN_UNTIL(world, stopper.calls > before);
    /* Not a byte comes while it is stopped. */
    for (int i = 0; i < 5; i++) CHECK(rstream_loop_run_nowait(world->loop) >= 0);
    CHECK_INT(stopper.calls, before + 1);
  }
  CHECK_INT(stopper.len, SIZE);
  close_stream(world, pair.dialed);
  close_stream(world, pair.accepted);
  free(bytes);
}

/* Reads from a non-blocking descriptor while the loop runs, up to `size` bytes or the end. */
static size_t read_descriptor(struct world *world, int fd, char *bytes, size_t size) {
  size_t len = 0;
  for (int turns = 0;; turns++) {
    ssize_t count = read(fd, bytes + len, size - len);
    if (count > 0) len += (size_t)count;
    if (count == 0 || len == size) return len;
    run_turn(world->loop, turns);
  }
}

/* What had been read, what had arrived, what comes later, more than fits on the way, and the other direction. */
static void into_descriptor(struct world *world) {
  enum { SIZE = 1000000 };
  struct stream_pair pair = world_pair(world);
  int fd = -1;
  char *sent = malloc(SIZE), *received = malloc(SIZE + 1);
  for (int i = 0; i < SIZE; i++) sent[i] = (char)(i * 7 + i / 509);
  send_text(pair.accepted, "early ");
  struct stopper stopper = {0};
  CHECK_INT(rstream_stream_read_start(pair.dialed, read_and_stop, &stopper), 0);
  RUN_UNTIL(world, stopper.len == 6);
  send_text(pair.accepted, "waiting ");
  for (int i = 0; i < 20; i++) CHECK(rstream_loop_run_nowait(world->loop) >= 0);
  CHECK_INT(rstream_stream_into_fd(pair.dialed, &fd), 0);
  CHECK(fd >= 0);
  send_text(pair.accepted, "late");
  CHECK_INT(read_descriptor(world, fd, received, 12), 12);
  CHECK(memcmp(received, "waiting late", 12) == 0);
  rstream_buf buf = {sent, SIZE};
  CHECK_INT(rstream_stream_write(pair.accepted, &buf, 1, NULL, NULL), 0);
  CHECK_INT(rstream_stream_shutdown(pair.accepted, NULL, NULL), 0);
  CHECK_INT(read_descriptor(world, fd, received, SIZE + 1), SIZE);
  CHECK(memcmp(sent, received, SIZE) == 0);

  struct collector collector = {0};
  CHECK_INT(rstream_stream_read_start(pair.accepted, collect, &collector), 0);
  size_t written = 0;
  for (int turns = 0; written < SIZE; turns++) {
    ssize_t count = write(fd, sent + written, SIZE - written);
    if (count > 0) written += (size_t)count;
    run_turn(world->loop, turns);
  }
  CHECK_INT(shutdown(fd, SHUT_WR), 0);
  run_until(world->loop, &collector.ended);
  CHECK_INT(collector.len, SIZE);
  CHECK(memcmp(sent, collector.bytes, SIZE) == 0);
  close(fd);
  close_stream(world, pair.accepted);
  free(collector.bytes);
  free(sent);
  free(received);
}

static void read_into_descriptor(rstream_stream *stream, const uint8_t *bytes, size_t len, const rstream_error *error,
                                 void *data) {
  CHECK(error == NULL && len == 1 && bytes[0] == 'x');
  CHECK_INT(rstream_stream_into_fd(stream, data), 0);
}

static void into_descriptor_inside_read(struct world *world) {
  struct stream_pair pair = world_pair(world);
  int fd = -1;
  char received[8];
  CHECK_INT(rstream_stream_read_start(pair.accepted, read_into_descriptor, &fd), 0);
  send_text(pair.dialed, "x");
  RUN_UNTIL(world, fd >= 0);
  send_text(pair.dialed, "rest");
  CHECK_INT(read_descriptor(world, fd, received, 4), 4);
  CHECK(memcmp(received, "rest", 4) == 0);
  close(fd);
  struct collector collector = {0};
  CHECK_INT(rstream_stream_read_start(pair.dialed, collect, &collector), 0);
  run_until(world->loop, &collector.ended);
  close_stream(world, pair.dialed);
}

int main(void) {
  struct world world;
  world_begin(&world);
  world_open_tunnel(&world);
  bad_arguments(&world);
  calls_after_close(&world);
  close_with_writes_waiting(&world);
  stop_reading_inside(&world);
  into_descriptor(&world);
  into_descriptor_inside_read(&world);
  world_end(&world);
  return 0;
}
