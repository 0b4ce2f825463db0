/* SPDX-License-Identifier: Apache-2.0 */
/* Streams, tunnels, control channel, client and engine closed in every order, at once or one after the other, from
 * outside and from inside callbacks: each close callback comes once, nothing crashes, nothing stays. */
#include <uv.h>

#include "check.h"
#include "world.h"

enum part { STREAM, ACCEPTED, TUNNEL, CONTROL, CLIENT, ENGINE, PARTS };

struct scene {
  struct world world;
  rstream_stream *dialed;
  rstream_stream *accepted;
  bool has_accepted;
  int closed;
};

static void closed(void *data) {
  ++*(int *)data;
}

static void on_stream(rstream_tunnel *tunnel, rstream_stream *stream, void *data) {
  (void)tunnel;
  struct scene *scene = data;
  scene->accepted = stream;
  scene->has_accepted = true;
}

static void begin(struct scene *scene) {
  memset(scene, 0, sizeof *scene);
  world_begin(&scene->world);
  world_open_tunnel(&scene->world);
  CHECK_INT(rstream_tunnel_listen(scene->world.tunnel, on_stream, scene), 0);
  scene->dialed = world_dial(&scene->world, scene->world.client, "echo");
  run_until(scene->world.loop, &scene->has_accepted);
}

static int close_part(struct scene *scene, enum part part) {
  switch (part) {
    case STREAM:
      return rstream_stream_close(scene->dialed, closed, &scene->closed);
    case ACCEPTED:
      return rstream_stream_close(scene->accepted, closed, &scene->closed);
    case TUNNEL:
      return rstream_tunnel_close(scene->world.tunnel, closed, &scene->closed);
    case CONTROL:
      return rstream_control_close(scene->world.control, closed, &scene->closed);
    case CLIENT:
      return rstream_client_close(scene->world.client, closed, &scene->closed);
    case ENGINE:
      return rstream_engine_close(scene->world.engine, closed, &scene->closed);
    default:
      return -1;
  }
}

/* Everything at once in one callback-free moment: a child may be closed after its parent until that is gone. */
static void all_at_once(const enum part *order) {
  struct scene scene;
  begin(&scene);
  for (int i = 0; i < PARTS; i++) CHECK_INT(close_part(&scene, order[i]), 0);
  for (int i = 0; i < PARTS; i++) CHECK(close_part(&scene, order[i]) < 0);
  CHECK_INT(scene.closed, 0);
  run_until_count(scene.world.loop, &scene.closed, PARTS);
  world_end(&scene.world);
  CHECK_INT(scene.closed, PARTS);
}

/* One after the other; what a closed parent has taken along is left alone. */
static void one_by_one(const enum part *order) {
  struct scene scene;
  begin(&scene);
  int expected = 0;
  bool client_gone = false, control_gone = false;
  for (int i = 0; i < PARTS; i++) {
    bool gone = (client_gone && order[i] != ENGINE) || (control_gone && order[i] == TUNNEL);
    if (gone) continue;
    CHECK_INT(close_part(&scene, order[i]), 0);
    run_until_count(scene.world.loop, &scene.closed, ++expected);
    client_gone |= order[i] == CLIENT;
    control_gone |= order[i] == CONTROL;
  }
  world_end(&scene.world);
}

static void permute(enum part *order, int from, int *index) {
  if (from == PARTS) {
    /* All 720 orders take too long under valgrind; some of them meet each pair of neighbours many times. */
    if ((*index)++ % 101 == 0) {
      all_at_once(order);
      one_by_one(order);
    }
    return;
  }
  for (int i = from; i < PARTS; i++) {
    enum part kept = order[from];
    order[from] = order[i];
    order[i] = kept;
    permute(order, from + 1, index);
    kept = order[from];
    order[from] = order[i];
    order[i] = kept;
  }
}

struct inside {
  struct scene *scene;
  enum part part;
  bool done;
};

static void close_inside_read(rstream_stream *stream, const uint8_t *bytes, size_t len, const rstream_error *error,
                              void *data) {
  (void)stream;
  (void)bytes;
  (void)len;
  struct inside *inside = data;
  if (error || inside->done) return;
  inside->done = true;
  CHECK_INT(close_part(inside->scene, inside->part), 0);
  CHECK(close_part(inside->scene, inside->part) < 0);
}

static void from_inside_a_read_callback(enum part part) {
  struct scene scene;
  begin(&scene);
  struct inside inside = {&scene, part, false};
  rstream_buf hello = {"hello", 5};
  CHECK_INT(rstream_stream_read_start(scene.accepted, close_inside_read, &inside), 0);
  CHECK_INT(rstream_stream_write(scene.dialed, &hello, 1, NULL, NULL), 0);
  run_until(scene.world.loop, &inside.done);
  run_until_count(scene.world.loop, &scene.closed, 1);
  world_end(&scene.world);
  CHECK_INT(scene.closed, 1);
}

static void close_loop_inside(rstream_stream *stream, const uint8_t *bytes, size_t len, const rstream_error *error,
                              void *data) {
  (void)bytes;
  (void)len;
  struct inside *inside = data;
  if (error) {
    CHECK(inside->done);
    return;
  }
  CHECK_INT(rstream_stream_read_stop(stream), 0);
  CHECK_INT(rstream_loop_close(inside->scene->world.loop, closed, &inside->scene->closed), 0);
  CHECK(rstream_loop_close(inside->scene->world.loop, closed, &inside->scene->closed) < 0);
  inside->done = true;
}

static void the_loop_from_inside_a_callback(void) {
  struct scene scene;
  begin(&scene);
  struct inside inside = {&scene, STREAM, false};
  rstream_buf hello = {"hello", 5};
  CHECK_INT(rstream_stream_read_start(scene.accepted, close_loop_inside, &inside), 0);
  CHECK_INT(rstream_stream_write(scene.dialed, &hello, 1, NULL, NULL), 0);
  rstream_loop_run(scene.world.loop);
  CHECK(inside.done);
  CHECK_INT(scene.closed, 1);
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", scene.world.directory);
  CHECK_INT(system(command), 0);
}

static void not_read(rstream_stream *stream, const uint8_t *bytes, size_t len, const rstream_error *error, void *data) {
  (void)stream, (void)bytes, (void)len, (void)error;
  ++*(int *)data;
  CHECK(false);
}

/* After the close of a stream whose client is being closed nothing is read any more: what the callback needs may go. */
static void no_read_after_the_close(void) {
  struct scene scene;
  begin(&scene);
  int *calls = calloc(1, sizeof *calls);
  CHECK(calls != NULL);
  CHECK_INT(rstream_stream_read_start(scene.dialed, not_read, calls), 0);
  CHECK_INT(rstream_stream_read_start(scene.accepted, not_read, calls), 0);
  CHECK_INT(rstream_client_close(scene.world.client, closed, &scene.closed), 0);
  CHECK_INT(rstream_stream_close(scene.dialed, NULL, NULL), 0);
  CHECK_INT(rstream_stream_reset(scene.accepted, closed, &scene.closed), 0);
  free(calls);
  run_until_count(scene.world.loop, &scene.closed, 2);
  world_end(&scene.world);
}

int main(void) {
  no_read_after_the_close();
  enum part order[] = {STREAM, ACCEPTED, TUNNEL, CONTROL, CLIENT, ENGINE};
  int index = 0;
  permute(order, 0, &index);
  for (int part = 0; part < PARTS; part++) from_inside_a_read_callback((enum part)part);
  the_loop_from_inside_a_callback();
  return 0;
}
