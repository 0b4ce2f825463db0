/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "check.h"

/* In seconds; valgrind is slow. */
enum { longest_wait = 120 };

static double now(void) {
  struct timespec clock;
  clock_gettime(CLOCK_MONOTONIC, &clock);
  return (double)clock.tv_sec + (double)clock.tv_nsec / 1e9;
}

/* One turn: waits until the loop has something to do, for at most `milliseconds`, and has it done. */
static void turn(rstream_loop *loop, int milliseconds) {
  int timeout = rstream_loop_timeout(loop);
  if (timeout < 0 || timeout > milliseconds) timeout = milliseconds;
  struct pollfd fd = {rstream_loop_fd(loop), POLLIN, 0};
  poll(&fd, 1, timeout);
  CHECK(rstream_loop_run_nowait(loop) >= 0);
}

static void check_time(double deadline, const char *file, int line) {
  if (now() < deadline) return;
  fprintf(stderr, "%s:%d: what is waited for here takes too long\n", file, line);
  exit(1);
}

void run_until_at(rstream_loop *loop, const bool *flag, const char *file, int line) {
  double deadline = now() + longest_wait;
  while (!*flag) {
    check_time(deadline, file, line);
    turn(loop, 1000);
  }
}

void run_until_count_at(rstream_loop *loop, const int *count, int wanted, const char *file, int line) {
  double deadline = now() + longest_wait;
  while (*count < wanted) {
    check_time(deadline, file, line);
    turn(loop, 1000);
  }
}

void run_turn_at(rstream_loop *loop, int number, const char *file, int line) {
  static double deadline;
  if (number == 0) deadline = now() + longest_wait;
  check_time(deadline, file, line);
  turn(loop, 50);
}

void run_idle(rstream_loop *loop, int milliseconds) {
  double deadline = now() + milliseconds / 1e3;
  do turn(loop, 5);
  while (now() < deadline);
}

void world_begin(struct world *world) {
  memset(world, 0, sizeof *world);
  strcpy(world->directory, "/tmp/rstream-c-test-XXXXXX");
  CHECK(mkdtemp(world->directory) != NULL);
  CHECK_INT(rstream_loop_new(&world->loop), 0);

  rstream_engine_options *options;
  CHECK_INT(rstream_engine_options_new(&options), 0);
  CHECK_INT(rstream_engine_options_set(options, "dev.enabled", "true", NULL), 0);
  CHECK_INT(rstream_engine_options_set(options, "dev.state_dir", world->directory, NULL), 0);
  CHECK_INT(rstream_engine_options_set(options, "tls.listen_addr", "127.0.0.1:0", NULL), 0);
  CHECK_INT(rstream_engine_options_set(options, "timeouts.drain_seconds", "1", NULL), 0);
  /* Under valgrind, beside others, a handshake takes seconds. */
  CHECK_INT(rstream_engine_options_set(options, "timeouts.handshake_seconds", "60", NULL), 0);
  rstream_error *error = NULL;
  if (rstream_engine_new(world->loop, options, &world->engine, &error) != 0 ||
      rstream_engine_start(world->engine, &error) != 0) {
    fprintf(stderr, "engine: %s\n", rstream_error_message(error));
    exit(1);
  }
  rstream_engine_options_free(options);
  const char *no_settings[] = {NULL};
  world->client = world_client(world, no_settings);
}

rstream_client *world_client(struct world *world, const char *const *settings) {
  rstream_config *config;
  rstream_client *client = NULL;
  rstream_error *error = NULL;
  CHECK_INT(rstream_config_new(&config), 0);
  CHECK_INT(rstream_config_set(config, "engine", rstream_engine_info(world->engine, "address"), NULL), 0);
  CHECK_INT(rstream_config_set(config, "transport.tls.caFile", rstream_engine_info(world->engine, "ca_file"), NULL), 0);
  CHECK_INT(rstream_config_set(config, "timeouts.connectMs", "60000", NULL), 0);
  for (; *settings; settings += 2) CHECK_INT(rstream_config_set(config, settings[0], settings[1], NULL), 0);
  if (rstream_client_new(world->loop, config, &client, &error) != 0) {
    fprintf(stderr, "client: %s\n", rstream_error_message(error));
    exit(1);
  }
  rstream_config_free(config);
  return client;
}

struct result {
  bool done;
  void *value;
};

static void take(struct result *result, void *value, const rstream_error *error) {
  if (error) fprintf(stderr, "%s: %s\n", rstream_error_name(error), rstream_error_message(error));
  CHECK(error == NULL);
  result->value = value;
  result->done = true;
}

static void on_control(rstream_control *control, const rstream_error *error, void *data) {
  take(data, control, error);
}

static void on_tunnel(rstream_tunnel *tunnel, const rstream_error *error, void *data) {
  take(data, tunnel, error);
}

static void on_stream(rstream_stream *stream, const rstream_error *error, void *data) {
  take(data, stream, error);
}

void world_open_tunnel(struct world *world) {
  struct result control = {false, NULL};
  CHECK_INT(rstream_client_connect(world->client, on_control, &control), 0);
  CHECK(!control.done);
  run_until(world->loop, &control.done);
  world->control = control.value;
  const char *options[] = {"name", "echo", "publish", "false", NULL};
  world->tunnel = world_create_tunnel(world, options);
}

rstream_tunnel *world_create_tunnel(struct world *world, const char *const *options) {
  struct result result = {false, NULL};
  rstream_tunnel_options *properties;
  CHECK_INT(rstream_tunnel_options_new(&properties), 0);
  for (; *options; options += 2) CHECK_INT(rstream_tunnel_options_set(properties, options[0], options[1], NULL), 0);
  CHECK_INT(rstream_control_create_tunnel(world->control, properties, on_tunnel, &result, NULL), 0);
  rstream_tunnel_options_free(properties);
  CHECK(!result.done);
  run_until(world->loop, &result.done);
  return result.value;
}

rstream_stream *world_dial(struct world *world, rstream_client *client, const char *name) {
  struct result result = {false, NULL};
  CHECK_INT(rstream_client_dial(client, name, on_stream, &result), 0);
  CHECK(!result.done);
  run_until(world->loop, &result.done);
  return result.value;
}

static void on_accept(rstream_tunnel *tunnel, rstream_stream *stream, void *data) {
  struct stream_pair *pair = data;
  CHECK(tunnel != NULL && pair->accepted == NULL);
  pair->accepted = stream;
}

struct stream_pair world_pair(struct world *world) {
  struct stream_pair pair = {NULL, NULL};
  CHECK_INT(rstream_tunnel_listen(world->tunnel, on_accept, &pair), 0);
  pair.dialed = world_dial(world, world->client, "echo");
  RUN_UNTIL(world, pair.accepted);
  CHECK_INT(rstream_tunnel_listen(world->tunnel, NULL, NULL), 0);
  return pair;
}

void send_text(rstream_stream *stream, const char *text) {
  rstream_buf buf = {text, strlen(text)};
  CHECK_INT(rstream_stream_write(stream, &buf, 1, NULL, NULL), 0);
}

static void remove_directory(const char *directory) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", directory);
  CHECK_INT(system(command), 0);
}

void world_end(struct world *world) {
  bool closed = false;
  CHECK_INT(rstream_loop_close(world->loop, set_flag, &closed), 0);
  CHECK(closed);
  remove_directory(world->directory);
}

static void echo_read(rstream_stream *stream, const uint8_t *bytes, size_t len, const rstream_error *error, void *data);

static void echo_write_done(rstream_stream *stream, const rstream_error *error, void *data) {
  if (!error) rstream_stream_read_start(stream, echo_read, data);
}

static void echo_read(rstream_stream *stream, const uint8_t *bytes, size_t len, const rstream_error *error,
                      void *data) {
  (void)data;
  if (error) {
    rstream_stream_close(stream, NULL, NULL);
    return;
  }
  if (len == 0) {
    CHECK_INT(rstream_stream_shutdown(stream, NULL, NULL), 0);
    rstream_stream_close(stream, NULL, NULL);
    return;
  }
  rstream_buf buf = {bytes, len};
  if (rstream_stream_write_queue_size(stream) > 1 << 20) {
    /* The other side does not read: wait until what is queued has left. */
    rstream_stream_read_stop(stream);
    rstream_stream_write(stream, &buf, 1, echo_write_done, NULL);
  } else {
    rstream_stream_write(stream, &buf, 1, NULL, NULL);
  }
}

void echo_stream(rstream_tunnel *tunnel, rstream_stream *stream, void *data) {
  (void)tunnel;
  (void)data;
  CHECK_INT(rstream_stream_read_start(stream, echo_read, NULL), 0);
}

void collect(rstream_stream *stream, const uint8_t *bytes, size_t len, const rstream_error *error, void *data) {
  (void)stream;
  struct collector *collector = data;
  if (error) {
    collector->failure = rstream_error_code(error);
    collector->ended = true;
  } else if (len == 0) {
    collector->ended = true;
  } else {
    collector->bytes = realloc(collector->bytes, collector->len + len);
    CHECK(collector->bytes != NULL);
    memcpy(collector->bytes + collector->len, bytes, len);
    collector->len += len;
  }
}

void set_flag(void *data) {
  *(bool *)data = true;
}

void count_call(void *data) {
  ++*(int *)data;
}
