/* SPDX-License-Identifier: Apache-2.0 */
/* The end of control channels: the engine stops in an orderly way or goes away; streams live on while it drains. */
#include <uv.h>

#include "check.h"
#include "world.h"

struct ends {
  int control, tunnel;
  int control_code, tunnel_code;
};

static void on_control_end(rstream_control *control, const rstream_error *error, void *data) {
  (void)control;
  struct ends *ends = data;
  ends->control++;
  ends->control_code = rstream_error_code(error);
}

static void on_tunnel_end(rstream_tunnel *tunnel, const rstream_error *error, void *data) {
  (void)tunnel;
  struct ends *ends = data;
  ends->tunnel++;
  ends->tunnel_code = rstream_error_code(error);
}

static void observe(struct world *world, struct ends *ends) {
  world_open_tunnel(world);
  CHECK(strlen(rstream_control_client_id(world->control)) > 0);
  CHECK(rstream_control_server_detail(world->control, "agent") != NULL);
  CHECK(rstream_control_server_detail(world->control, "no such detail") == NULL);
  CHECK_INT(rstream_tunnel_listen(world->tunnel, echo_stream, NULL), 0);
  CHECK_INT(rstream_control_on_end(world->control, on_control_end, ends), 0);
  CHECK_INT(rstream_tunnel_on_end(world->tunnel, on_tunnel_end, ends), 0);
}

static void on_stopped(rstream_engine *engine, void *data) {
  (void)engine;
  set_flag(data);
}

static void orderly(void) {
  struct world world;
  struct ends ends = {0};
  world_begin(&world);
  observe(&world, &ends);
  rstream_stream *stream = world_dial(&world, world.client, "echo");
  struct collector collector = {0};
  rstream_buf before = {"before ", 7}, after = {"after", 5};
  CHECK_INT(rstream_stream_read_start(stream, collect, &collector), 0);
  CHECK_INT(rstream_stream_write(stream, &before, 1, NULL, NULL), 0);
  for (int i = 0; collector.len < 7 && i < 2000; i++) run_idle(world.loop, 5);

  bool stopped = false;
  CHECK_INT(rstream_engine_stop(world.engine, on_stopped, &stopped), 0);
  run_until_count(world.loop, &ends.control, 1);
  run_until_count(world.loop, &ends.tunnel, 1);
  CHECK_INT(ends.control_code, 0);
  CHECK_INT(ends.tunnel_code, RSTREAM_ECONTROL_CLOSED);
  CHECK(!stopped);

  /* The stream is still served. */
  CHECK_INT(rstream_stream_write(stream, &after, 1, NULL, NULL), 0);
  CHECK_INT(rstream_stream_shutdown(stream, NULL, NULL), 0);
  run_until(world.loop, &collector.ended);
  CHECK_INT(collector.failure, 0);
  CHECK_INT(collector.len, 12);
  CHECK(memcmp(collector.bytes, "before after", 12) == 0);
  free(collector.bytes);
  run_until(world.loop, &stopped);

  CHECK_INT(rstream_tunnel_close(world.tunnel, NULL, NULL), 0);
  bool closed = false;
  CHECK_INT(rstream_control_close(world.control, set_flag, &closed), 0);
  run_until(world.loop, &closed);
  world_end(&world);
  CHECK_INT(ends.control, 1);
  CHECK_INT(ends.tunnel, 1);
}

static void sudden(void) {
  struct world world;
  struct ends ends = {0};
  world_begin(&world);
  observe(&world, &ends);
  bool closed = false;
  CHECK_INT(rstream_engine_close(world.engine, set_flag, &closed), 0);
  run_until(world.loop, &closed);
  world.engine = NULL;
  run_until_count(world.loop, &ends.control, 1);
  run_until_count(world.loop, &ends.tunnel, 1);
  CHECK(ends.control_code < 0);
  CHECK_INT(ends.tunnel_code, ends.control_code);
  world_end(&world);
}

/* The own close is not reported as an end. */
static void own(void) {
  struct world world;
  struct ends ends = {0};
  world_begin(&world);
  observe(&world, &ends);
  bool closed = false;
  CHECK_INT(rstream_tunnel_close(world.tunnel, set_flag, &closed), 0);
  run_until(world.loop, &closed);
  closed = false;
  CHECK_INT(rstream_control_close(world.control, set_flag, &closed), 0);
  run_until(world.loop, &closed);
  CHECK_INT(ends.control, 0);
  CHECK_INT(ends.tunnel, 0);
  world_end(&world);
}

int main(void) {
  orderly();
  sudden();
  own();
  return 0;
}
