/* SPDX-License-Identifier: Apache-2.0 */
/* Closing a client from inside every kind of callback, what its children hear of it, and ends that are asked about late. */
#include <uv.h>

#include "check.h"
#include "world.h"

static const char *const no_settings[] = {NULL};

enum place {
  IN_CONNECT,
  IN_CREATE,
  IN_ACCEPT,
  IN_DIAL,
  IN_READ,
  IN_WRITE,
  IN_SHUTDOWN,
  IN_STREAM_CLOSE,
  IN_TUNNEL_CLOSE,
  IN_CONTROL_CLOSE,
  IN_POST,
  PLACES
};

struct scene {
  struct world *world;
  enum place place;
  rstream_client *client;
  rstream_control *control;
  rstream_tunnel *tunnel;
  int closed;
};

static void here(struct scene *scene, enum place place) {
  if (place != scene->place) return;
  CHECK_INT(rstream_client_close(scene->client, count_call, &scene->closed), 0);
  CHECK_INT(rstream_client_close(scene->client, count_call, &scene->closed), RSTREAM_ECLIENT_CLOSED);
  CHECK_INT(scene->closed, 0);
}

static void on_post(void *data) {
  here(data, IN_POST);
}

static void on_control_closed(void *data) {
  struct scene *scene = data;
  here(scene, IN_CONTROL_CLOSE);
  if (scene->place == IN_POST) CHECK_INT(rstream_loop_post(scene->world->loop, on_post, scene), 0);
}

static void on_tunnel_closed(void *data) {
  struct scene *scene = data;
  here(scene, IN_TUNNEL_CLOSE);
  if (scene->place > IN_TUNNEL_CLOSE) CHECK_INT(rstream_control_close(scene->control, on_control_closed, scene), 0);
}

static void on_stream_closed(void *data) {
  struct scene *scene = data;
  here(scene, IN_STREAM_CLOSE);
  if (scene->place > IN_STREAM_CLOSE) CHECK_INT(rstream_tunnel_close(scene->tunnel, on_tunnel_closed, scene), 0);
}

static void on_shutdown(rstream_stream *stream, const rstream_error *error, void *data) {
  struct scene *scene = data;
  (void)error;
  here(scene, IN_SHUTDOWN);
  if (scene->place > IN_SHUTDOWN) CHECK_INT(rstream_stream_close(stream, on_stream_closed, scene), 0);
}

static void on_write(rstream_stream *stream, const rstream_error *error, void *data) {
  struct scene *scene = data;
  (void)error;
  here(scene, IN_WRITE);
  if (scene->place > IN_WRITE) CHECK_INT(rstream_stream_shutdown(stream, on_shutdown, scene), 0);
}

static void on_read(rstream_stream *stream, const uint8_t *bytes, size_t len, const rstream_error *error, void *data) {
  struct scene *scene = data;
  (void)bytes;
  if (error || len == 0) return;
  here(scene, IN_READ);
  rstream_buf buf = {"answer", 6};
  if (scene->place > IN_READ) CHECK_INT(rstream_stream_write(stream, &buf, 1, on_write, scene), 0);
}

static void on_accept(rstream_tunnel *tunnel, rstream_stream *stream, void *data) {
  struct scene *scene = data;
  (void)tunnel;
  here(scene, IN_ACCEPT);
  if (scene->place > IN_DIAL) CHECK_INT(rstream_stream_read_start(stream, on_read, scene), 0);
}

static void on_dial(rstream_stream *stream, const rstream_error *error, void *data) {
  struct scene *scene = data;
  if (!stream) {
    CHECK(error != NULL);
    return;
  }
  send_text(stream, "question");
  here(scene, IN_DIAL);
}

static void on_create(rstream_tunnel *tunnel, const rstream_error *error, void *data) {
  struct scene *scene = data;
  CHECK(error == NULL);
  scene->tunnel = tunnel;
  here(scene, IN_CREATE);
  if (scene->place <= IN_CREATE) return;
  CHECK_INT(rstream_tunnel_listen(tunnel, on_accept, scene), 0);
  CHECK_INT(rstream_client_dial(scene->client, rstream_tunnel_property(tunnel, "id"), on_dial, scene), 0);
}

static void on_connect(rstream_control *control, const rstream_error *error, void *data) {
  struct scene *scene = data;
  CHECK(error == NULL);
  scene->control = control;
  here(scene, IN_CONNECT);
  if (scene->place <= IN_CONNECT) return;
  rstream_tunnel_options *options = NULL;
  CHECK_INT(rstream_tunnel_options_new(&options), 0);
  CHECK_INT(rstream_tunnel_options_set(options, "publish", "false", NULL), 0);
  CHECK_INT(rstream_control_create_tunnel(control, options, on_create, scene, NULL), 0);
  rstream_tunnel_options_free(options);
}

static void close_inside_callbacks(struct world *world) {
  for (int place = 0; place < PLACES; place++) {
    struct scene scene = {.world = world, .place = (enum place)place, .client = world_client(world, no_settings)};
    CHECK_INT(rstream_client_connect(scene.client, on_connect, &scene), 0);
    RUN_UNTIL(world, scene.closed);
  }
}

/* What the children of a client hear when it is closed above them. */

struct ends {
  int control, tunnel, stream;
  int control_calls, tunnel_calls, stream_calls;
  int closed_by_hand, client_closed;
};

static void hand_closed(void *data) {
  struct ends *ends = data;
  CHECK_INT(ends->client_closed, 0);
  ends->closed_by_hand++;
}

static void all_closed(void *data) {
  struct ends *ends = data;
  ends->client_closed++;
}

static void on_control_end(rstream_control *control, const rstream_error *error, void *data) {
  struct ends *ends = data;
  ends->control = rstream_error_code(error);
  ends->control_calls++;
  CHECK_INT(rstream_control_close(control, hand_closed, ends), 0);
}

static void on_tunnel_end(rstream_tunnel *tunnel, const rstream_error *error, void *data) {
  struct ends *ends = data;
  ends->tunnel = rstream_error_code(error);
  ends->tunnel_calls++;
  CHECK_INT(rstream_tunnel_close(tunnel, hand_closed, ends), 0);
}

static void on_stream_end(rstream_stream *stream, const uint8_t *bytes, size_t len, const rstream_error *error,
                          void *data) {
  struct ends *ends = data;
  (void)bytes, (void)len;
  ends->stream = rstream_error_code(error);
  ends->stream_calls++;
  CHECK_INT(rstream_stream_close(stream, hand_closed, ends), 0);
}

static void ends_by_closing_client(struct world *world) {
  struct ends ends = {0};
  rstream_client *client = world->client;
  /* Nobody closes these: they go with the client. */
  struct stream_pair pair = world_pair(world), forgotten = world_pair(world);
  CHECK(forgotten.accepted != NULL);
  CHECK_INT(rstream_control_on_end(world->control, on_control_end, &ends), 0);
  CHECK_INT(rstream_tunnel_on_end(world->tunnel, on_tunnel_end, &ends), 0);
  CHECK_INT(rstream_stream_read_start(pair.accepted, on_stream_end, &ends), 0);
  CHECK_INT(rstream_client_close(client, all_closed, &ends), 0);
  CHECK_INT(ends.control_calls + ends.tunnel_calls + ends.stream_calls, 0);
  RUN_UNTIL(world, ends.client_closed);
  CHECK_INT(ends.control, RSTREAM_ECLIENT_CLOSED);
  CHECK(ends.tunnel == RSTREAM_ECLIENT_CLOSED || ends.tunnel == RSTREAM_ECONTROL_CLOSED);
  CHECK_INT(ends.stream, RSTREAM_ECLIENT_CLOSED);
  CHECK_INT(ends.control_calls, 1);
  CHECK_INT(ends.tunnel_calls, 1);
  CHECK_INT(ends.stream_calls, 1);
  CHECK_INT(ends.closed_by_hand, 3);
}

static void note_tunnel_end(rstream_tunnel *tunnel, const rstream_error *error, void *data) {
  struct ends *ends = data;
  (void)tunnel;
  ends->tunnel = rstream_error_code(error);
  ends->tunnel_calls++;
}

/* Who asks after the fact is told as well: once, and not inside the call. */
static void end_asked_late(struct world *world) {
  struct ends ends = {0};
  bool closed = false;
  CHECK_INT(rstream_engine_close(world->engine, set_flag, &closed), 0);
  run_until(world->loop, &closed);
  RUN_UNTIL(world, rstream_tunnel_listen(world->tunnel, on_accept, NULL) != 0);
  CHECK_INT(rstream_tunnel_on_end(world->tunnel, note_tunnel_end, &ends), 0);
  CHECK_INT(ends.tunnel_calls, 0);
  RUN_UNTIL(world, ends.tunnel_calls);
  CHECK(ends.tunnel < 0);
  CHECK_INT(rstream_tunnel_on_end(world->tunnel, note_tunnel_end, &ends), 0);
  run_idle(world->loop, 20);
  CHECK_INT(ends.tunnel_calls, 1);
  CHECK_INT(rstream_control_create_tunnel(world->control, NULL, on_create, NULL, NULL), RSTREAM_ECONTROL_CLOSED);
  CHECK(rstream_control_client_id(world->control) != NULL);
}

int main(void) {
  struct world world;
  world_begin(&world);
  close_inside_callbacks(&world);
  world_open_tunnel(&world);
  ends_by_closing_client(&world);
  world_end(&world);

  world_begin(&world);
  world_open_tunnel(&world);
  end_asked_late(&world);
  world_end(&world);
  return 0;
}
