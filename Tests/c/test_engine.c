/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded engine: starting, asking, stopping, and what is refused. */
#include <pthread.h>
#include <sys/stat.h>
#include <uv.h>

#include "check.h"
#include "world.h"

static rstream_engine_options *options_for(struct world *world, const char *address) {
  rstream_engine_options *options = NULL;
  CHECK_INT(rstream_engine_options_new(&options), 0);
  CHECK_INT(rstream_engine_options_set(options, "dev.enabled", "true", NULL), 0);
  CHECK_INT(rstream_engine_options_set(options, "dev.state_dir", world->directory, NULL), 0);
  CHECK_INT(rstream_engine_options_set(options, "tls.listen_addr", address, NULL), 0);
  return options;
}

static rstream_engine *engine_for(struct world *world, const char *address) {
  rstream_engine_options *options = options_for(world, address);
  rstream_engine *engine = NULL;
  CHECK_INT(rstream_engine_new(world->loop, options, &engine, NULL), 0);
  rstream_engine_options_free(options);
  return engine;
}

static void on_stop(rstream_engine *engine, void *data) {
  CHECK(engine != NULL);
  ++*(int *)data;
}

static void close_engine(struct world *world, rstream_engine *engine) {
  int closed = 0;
  CHECK_INT(rstream_engine_close(engine, count_call, &closed), 0);
  CHECK_INT(rstream_engine_close(engine, count_call, &closed), RSTREAM_EENGINE_CLOSED);
  CHECK_INT(rstream_engine_start(engine, NULL), RSTREAM_EENGINE_CLOSED);
  CHECK_INT(rstream_engine_stop(engine, NULL, NULL), RSTREAM_EENGINE_CLOSED);
  CHECK_INT(closed, 0);
  RUN_UNTIL(world, closed);
}

static void life(struct world *world) {
  rstream_engine *engine = engine_for(world, "127.0.0.1:0");
  CHECK_INT(rstream_engine_port(engine, "tls"), UV_EINVAL);
  CHECK(rstream_engine_info(engine, "address") == NULL);
  CHECK_INT(rstream_engine_start(engine, NULL), 0);
  CHECK_INT(rstream_engine_start(engine, NULL), UV_EALREADY);
  int port = rstream_engine_port(engine, "tls");
  CHECK(port > 0);
  CHECK_INT(rstream_engine_port(engine, "http"), UV_EINVAL);
  CHECK_INT(rstream_engine_port(engine, "no such listener"), UV_EINVAL);
  CHECK_INT(rstream_engine_port(engine, NULL), UV_EINVAL);
  char address[64];
  snprintf(address, sizeof address, "localhost:%d", port);
  CHECK_STR(rstream_engine_info(engine, "address"), address);
  CHECK_STR(rstream_engine_info(engine, "host"), "localhost");
  CHECK(rstream_engine_info(engine, "no such thing") == NULL);
  CHECK(rstream_engine_info(engine, NULL) == NULL);

  struct stat folder, key;
  char path[128];
  snprintf(path, sizeof path, "%s/ca-key.pem", world->directory);
  CHECK_INT(stat(world->directory, &folder), 0);
  CHECK_INT(stat(path, &key), 0);
  CHECK_INT(folder.st_mode & 0777, 0700);
  CHECK_INT(key.st_mode & 0777, 0600);

  /* The port is taken: the message says which. */
  rstream_error *error = NULL;
  char taken[64];
  snprintf(taken, sizeof taken, "127.0.0.1:%d", port);
  rstream_engine *second = engine_for(world, taken);
  CHECK_INT(rstream_engine_start(second, &error), UV_EADDRINUSE);
  CHECK_STR(rstream_error_name(error), "EADDRINUSE");
  CHECK(strstr(rstream_error_message(error), taken) != NULL);
  rstream_error_free(error);

  int stopped = 0;
  CHECK_INT(rstream_engine_stop(engine, on_stop, &stopped), 0);
  CHECK_INT(rstream_engine_stop(engine, on_stop, &stopped), 0);
  CHECK_INT(stopped, 0);
  RUN_UNTIL(world, stopped == 2);
  /* Now the other one gets the port. */
  CHECK_INT(rstream_engine_start(second, NULL), 0);
  CHECK_INT(rstream_engine_port(second, "tls"), port);
  close_engine(world, engine);
  close_engine(world, second);
}

static void close_while_stopping(struct world *world) {
  rstream_engine *engine = engine_for(world, "127.0.0.1:0");
  int stopped = 0;
  CHECK_INT(rstream_engine_start(engine, NULL), 0);
  CHECK_INT(rstream_engine_stop(engine, on_stop, &stopped), 0);
  close_engine(world, engine);
  CHECK_INT(stopped, 1);
}

static void refused(struct world *world) {
  rstream_engine_options *options = options_for(world, "127.0.0.1:0");
  rstream_engine *engine = NULL;
  rstream_error *error = NULL;
  CHECK_INT(rstream_engine_new(world->loop, options, NULL, NULL), UV_EINVAL);
  CHECK_INT(rstream_engine_new(world->loop, NULL, &engine, NULL), UV_EINVAL);
  CHECK_INT(rstream_engine_options_set(options, "dev.enabled", "false", NULL), 0);
  CHECK_INT(rstream_engine_new(world->loop, options, &engine, &error), RSTREAM_EINVALID_CONFIG);
  rstream_error_free(error);
  CHECK_INT(rstream_engine_options_set(options, "auth.open", "true", NULL), 0);
  CHECK_INT(rstream_engine_options_set(options, "certs.static.cert_file", "/nonexistent/cert.pem", NULL), 0);
  CHECK_INT(rstream_engine_options_set(options, "certs.static.key_file", "/nonexistent/key.pem", NULL), 0);
  CHECK_INT(rstream_engine_new(world->loop, options, &engine, &error), RSTREAM_ETLS);
  CHECK(strstr(rstream_error_message(error), "/nonexistent/") != NULL);
  rstream_error_free(error);
  CHECK(engine == NULL);
  rstream_engine_options_free(options);
}

static void *misuse(void *data) {
  rstream_engine *engine = data;
  CHECK_INT(rstream_engine_start(engine, NULL), RSTREAM_EWRONGTHREAD);
  CHECK_INT(rstream_engine_port(engine, "tls"), RSTREAM_EWRONGTHREAD);
  CHECK_INT(rstream_engine_stop(engine, NULL, NULL), RSTREAM_EWRONGTHREAD);
  CHECK_INT(rstream_engine_close(engine, NULL, NULL), RSTREAM_EWRONGTHREAD);
  return NULL;
}

static void wrong_thread(struct world *world) {
  rstream_engine *engine = engine_for(world, "127.0.0.1:0");
  pthread_t thread;
  CHECK_INT(pthread_create(&thread, NULL, misuse, engine), 0);
  pthread_join(thread, NULL);
  close_engine(world, engine);
}

int main(void) {
  struct world world;
  world_begin(&world);
  life(&world);
  close_while_stopping(&world);
  refused(&world);
  wrong_thread(&world);
  world_end(&world);
  return 0;
}
