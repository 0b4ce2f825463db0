/* SPDX-License-Identifier: Apache-2.0 */
/* Loops on several threads, each with an engine, an agent and a dialer, at the same time; and a wrapped uv loop. */
#include <pthread.h>
#include <uv.h>

#include "check.h"
#include "world.h"

static void *run(void *data) {
  struct world world;
  (void)data;
  world_begin(&world);
  world_open_tunnel(&world);
  CHECK_INT(rstream_tunnel_listen(world.tunnel, echo_stream, NULL), 0);
  for (int i = 0; i < 5; i++) {
    rstream_stream *stream = world_dial(&world, world.client, "echo");
    struct collector collector = {0};
    rstream_buf buf = {&i, sizeof i};
    CHECK_INT(rstream_stream_read_start(stream, collect, &collector), 0);
    CHECK_INT(rstream_stream_write(stream, &buf, 1, NULL, NULL), 0);
    CHECK_INT(rstream_stream_shutdown(stream, NULL, NULL), 0);
    run_until(world.loop, &collector.ended);
    CHECK_INT(collector.len, sizeof i);
    CHECK(memcmp(collector.bytes, &i, sizeof i) == 0);
    free(collector.bytes);
    CHECK_INT(rstream_stream_close(stream, NULL, NULL), 0);
  }
  world_end(&world);
  return NULL;
}

static void on_connect(rstream_control *control, const rstream_error *error, void *data) {
  CHECK(control == NULL);
  CHECK_INT(rstream_error_code(error), RSTREAM_ECLIENT_CLOSED);
  set_flag(data);
}

/* A caller's loop: it is run by the caller, and closes on it while a connection is being made. */
static void wrapped(void) {
  uv_loop_t uv;
  rstream_loop *loop;
  rstream_config *config;
  rstream_client *client;
  bool refused = false, closed = false;
  CHECK_INT(uv_loop_init(&uv), 0);
  CHECK_INT(rstream_loop_wrap(&uv, &loop), 0);
  CHECK(rstream_loop_uv(loop) == &uv);
  CHECK_INT(rstream_loop_run(loop), UV_EINVAL);
  CHECK_INT(rstream_loop_fd(loop), UV_EINVAL);
  CHECK_INT(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK_INT(rstream_config_new(&config), 0);
  CHECK_INT(rstream_config_set(config, "engine", "127.0.0.1:9", NULL), 0);
  CHECK_INT(rstream_client_new(loop, config, &client, NULL), 0);
  rstream_config_free(config);
  CHECK_INT(rstream_client_connect(client, on_connect, &refused), 0);
  CHECK_INT(rstream_loop_close(loop, set_flag, &closed), 0);
  CHECK(!closed && !refused);
  CHECK_INT(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK(closed && refused);
  CHECK_INT(uv_loop_close(&uv), 0);
}

int main(void) {
  pthread_t threads[3];
  for (int i = 0; i < 3; i++) CHECK_INT(pthread_create(&threads[i], NULL, run, NULL), 0);
  for (int i = 0; i < 3; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
  wrapped();
  return 0;
}
