/* SPDX-License-Identifier: Apache-2.0 */
/* A stream that is not read slows its writer down, and nobody else; nothing is lost when reading goes on. */
#include <uv.h>

#include "check.h"
#include "world.h"

static const size_t block = 65536;

struct writer {
  rstream_stream *stream;
  uint8_t *bytes;
  size_t written;
  int callbacks;
};

static void written(rstream_stream *stream, const rstream_error *error, void *data) {
  struct writer *writer = data;
  if (error) return;
  rstream_buf buf = {writer->bytes, block};
  writer->callbacks++;
  writer->written += block;
  CHECK_INT(rstream_stream_write(stream, &buf, 1, written, writer), 0);
}

static void keep(rstream_tunnel *tunnel, rstream_stream *stream, void *data) {
  (void)tunnel;
  *(rstream_stream **)data = stream;
}

struct counter {
  size_t bytes;
  size_t stop_at;
};

static void count(rstream_stream *stream, const uint8_t *bytes, size_t len, const rstream_error *error, void *data) {
  (void)bytes;
  struct counter *counter = data;
  CHECK(error == NULL);
  counter->bytes += len;
  if (counter->bytes >= counter->stop_at) CHECK_INT(rstream_stream_read_stop(stream), 0);
}

int main(void) {
  struct world world;
  world_begin(&world);
  world_open_tunnel(&world);
  rstream_stream *accepted = NULL;
  CHECK_INT(rstream_tunnel_listen(world.tunnel, keep, &accepted), 0);

  struct writer writer = {world_dial(&world, world.client, "echo"), calloc(1, block), 0, 0};
  written(writer.stream, NULL, &writer);
  /* Until the writer has stood still for a while: every buffer on the way is full. */
  for (int before = -1; before != writer.callbacks;) {
    before = writer.callbacks;
    run_idle(world.loop, 300);
  }
  CHECK(accepted != NULL);
  CHECK(rstream_stream_write_queue_size(writer.stream) > 0);
  size_t stuck_at = writer.written;

  /* Another stream of the same tunnel is not affected. */
  CHECK_INT(rstream_tunnel_listen(world.tunnel, echo_stream, NULL), 0);
  rstream_stream *other = world_dial(&world, world.client, "echo");
  struct collector collector = {0};
  rstream_buf ping = {"ping", 4};
  CHECK_INT(rstream_stream_read_start(other, collect, &collector), 0);
  CHECK_INT(rstream_stream_write(other, &ping, 1, NULL, NULL), 0);
  CHECK_INT(rstream_stream_shutdown(other, NULL, NULL), 0);
  run_until(world.loop, &collector.ended);
  CHECK_INT(collector.len, 4);
  free(collector.bytes);
  CHECK_INT(rstream_stream_close(other, NULL, NULL), 0);

  /* Reading some of it lets the writer go on for as much; then it stands still again. */
  struct counter counter = {0, stuck_at / 2};
  CHECK_INT(rstream_stream_read_start(accepted, count, &counter), 0);
  for (int i = 0; counter.bytes < counter.stop_at && i < 6000; i++) run_idle(world.loop, 5);
  size_t read_so_far = counter.bytes;
  CHECK(read_so_far >= counter.stop_at);
  run_idle(world.loop, 300);
  CHECK_INT(counter.bytes, read_so_far);

  /* A queue that only grows is refused in the end. */
  int status = 0;
  for (int i = 0; i < 2000 && status == 0; i++) {
    rstream_buf buf = {writer.bytes, block};
    status = rstream_stream_write(writer.stream, &buf, 1, NULL, NULL);
  }
  CHECK_INT(status, UV_ENOBUFS);
  CHECK(rstream_stream_write_queue_size(writer.stream) <= (size_t)64 << 20);

  world_end(&world);
  free(writer.bytes);
  return 0;
}
