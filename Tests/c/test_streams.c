/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of a private tunnel: by name and by id, with and without zero RTT, both ways, half close, order, reset. */
#include <uv.h>

#include "check.h"
#include "world.h"

static uint8_t *pattern(size_t len) {
  uint8_t *bytes = malloc(len);
  CHECK(bytes != NULL);
  for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)(i * 31 + i / 251);
  return bytes;
}

static void written(rstream_stream *stream, const rstream_error *error, void *data) {
  (void)stream;
  CHECK(error == NULL);
  ++*(int *)data;
}

/* Writes `len` bytes in pieces, ends the own direction, and expects them back. */
static void echo(struct world *world, rstream_client *client, const char *name, size_t len) {
  rstream_stream *stream = world_dial(world, client, name);
  struct collector collector = {0};
  uint8_t *bytes = pattern(len);
  int writes = 0, expected = 0;
  CHECK_INT(rstream_stream_read_start(stream, collect, &collector), 0);
  CHECK_INT(rstream_stream_read_start(stream, collect, &collector), UV_EALREADY);
  for (size_t offset = 0; offset < len;) {
    size_t first = len - offset < 10000 ? len - offset : 10000;
    size_t second = len - offset - first < 77 ? len - offset - first : 77;
    rstream_buf bufs[] = {{bytes + offset, first}, {NULL, 0}, {bytes + offset + first, second}};
    CHECK_INT(rstream_stream_write(stream, bufs, 3, written, &writes), 0);
    offset += first + second;
    expected++;
  }
  CHECK_INT(rstream_stream_shutdown(stream, written, &writes), 0);
  expected++;
  rstream_buf late = {"x", 1};
  CHECK_INT(rstream_stream_write(stream, &late, 1, NULL, NULL), UV_EPIPE);
  CHECK_INT(rstream_stream_shutdown(stream, NULL, NULL), UV_EALREADY);
  CHECK_INT(writes, 0);
  run_until(world->loop, &collector.ended);
  run_until_count(world->loop, &writes, expected);
  CHECK_INT(collector.failure, 0);
  CHECK_INT(collector.len, len);
  CHECK(len == 0 || memcmp(collector.bytes, bytes, len) == 0);
  CHECK_INT(rstream_stream_write_queue_size(stream), 0);
  bool closed = false;
  CHECK_INT(rstream_stream_close(stream, set_flag, &closed), 0);
  CHECK_INT(rstream_stream_close(stream, set_flag, &closed), RSTREAM_ESTREAM_CLOSED);
  CHECK(!closed);
  run_until(world->loop, &closed);
  free(collector.bytes);
  free(bytes);
}

static void refused(rstream_stream *stream, const rstream_error *error, void *data) {
  CHECK(stream == NULL);
  CHECK_INT(rstream_error_code(error), RSTREAM_EENGINE);
  CHECK_INT(rstream_error_engine_code(error), RSTREAM_ENGINE_TUNNEL_NOT_FOUND);
  CHECK_STR(rstream_error_name(error), "ERR_RSTREAM_ENGINE");
  set_flag(data);
}

static void keep(rstream_tunnel *tunnel, rstream_stream *stream, void *data) {
  (void)tunnel;
  *(rstream_stream **)data = stream;
}

/* A reset on one side is a reset on the other. */
static void reset(struct world *world) {
  rstream_stream *accepted = NULL;
  CHECK_INT(rstream_tunnel_listen(world->tunnel, keep, &accepted), 0);
  rstream_stream *dialed = world_dial(world, world->client, "echo");
  struct collector collector = {0};
  CHECK_INT(rstream_stream_read_start(dialed, collect, &collector), 0);
  rstream_buf hello = {"hello", 5};
  CHECK_INT(rstream_stream_write(dialed, &hello, 1, NULL, NULL), 0);
  for (int i = 0; !accepted && i < 1000; i++) run_idle(world->loop, 5);
  CHECK(accepted != NULL);
  struct collector arrived = {0};
  CHECK_INT(rstream_stream_read_start(accepted, collect, &arrived), 0);
  for (int i = 0; arrived.len < 5 && i < 1000; i++) run_idle(world->loop, 5);
  CHECK_INT(arrived.len, 5);
  free(arrived.bytes);
  CHECK_STR(rstream_stream_peer(accepted), "127.0.0.1");
  CHECK_INT(strlen(rstream_stream_id(accepted)), 24);
  bool closed = false;
  CHECK_INT(rstream_stream_reset(accepted, set_flag, &closed), 0);
  run_until(world->loop, &closed);
  run_until(world->loop, &collector.ended);
  CHECK_INT(collector.failure, UV_ECONNRESET);
  CHECK_INT(rstream_stream_close(dialed, NULL, NULL), 0);
  CHECK_INT(rstream_tunnel_listen(world->tunnel, echo_stream, NULL), 0);
}

int main(void) {
  struct world world;
  world_begin(&world);
  world_open_tunnel(&world);
  CHECK_STR(rstream_tunnel_property(world.tunnel, "name"), "echo");
  CHECK_STR(rstream_tunnel_property(world.tunnel, "type"), "bytestream");
  CHECK_STR(rstream_tunnel_property(world.tunnel, "publish"), "false");
  CHECK(rstream_tunnel_property(world.tunnel, "hostname") == NULL);
  CHECK(rstream_tunnel_property(world.tunnel, "creation_date") != NULL);
  CHECK_STR(rstream_tunnel_forwarding_address(world.tunnel), "rstrm://echo (unpublished)");
  CHECK_INT(rstream_tunnel_listen(world.tunnel, echo_stream, NULL), 0);

  const char *settings[] = {"zeroRtt", "false", NULL};
  rstream_client *patient = world_client(&world, settings);
  const char *names[] = {"echo", rstream_tunnel_property(world.tunnel, "id")};
  for (int i = 0; i < 2; i++) {
    echo(&world, world.client, names[i], 1);
    echo(&world, patient, names[i], 100000);
  }
  echo(&world, world.client, "echo", 0);
  echo(&world, world.client, "  echo ", 5000000);

  bool done = false;
  CHECK_INT(rstream_client_dial(patient, "nobody", refused, &done), 0);
  run_until(world.loop, &done);

  /* With zero RTT an unknown tunnel shows as a stream that ends at once. */
  rstream_stream *stream = world_dial(&world, world.client, "nobody");
  struct collector collector = {0};
  CHECK_INT(rstream_stream_read_start(stream, collect, &collector), 0);
  run_until(world.loop, &collector.ended);
  CHECK_INT(collector.len, 0);
  CHECK_INT(rstream_stream_close(stream, NULL, NULL), 0);

  CHECK_INT(rstream_client_dial(world.client, "  ", refused, NULL), RSTREAM_EINVALID_TUNNEL);
  reset(&world);
  world_end(&world);
  return 0;
}
