/* SPDX-License-Identifier: Apache-2.0 */
/* Watching: the snapshot, what comes and goes, ends, and what is refused. */
#include <uv.h>

#include "check.h"
#include "world.h"

/* What the watches go over: 0 or RSTREAM_WATCH_WEBSOCKET. */
static int transport;

struct log {
  int events, ends, code;
  char types[8][32];
  char id[64];
  size_t tunnels, clients;
  bool close;
  int closed;
};

static void on_event(rstream_watch *watch, const rstream_event *event, void *data) {
  struct log *log = data;
  CHECK(log->events < 8 && !log->closed);
  const char *type = rstream_event_type(event);
  snprintf(log->types[log->events++], sizeof log->types[0], "%s", type);
  CHECK(rstream_event_json(event)[0] == '{' && strstr(rstream_event_json(event), type) != NULL);
  const rstream_inventory *tunnels = rstream_event_inventory(event, RSTREAM_TUNNELS);
  const rstream_inventory *clients = rstream_event_inventory(event, RSTREAM_CLIENTS);
  CHECK(rstream_event_inventory(event, 2) == NULL);
  log->tunnels = rstream_inventory_count(tunnels);
  log->clients = rstream_inventory_count(clients);
  if (log->tunnels > 0) {
    snprintf(log->id, sizeof log->id, "%s", rstream_inventory_property(tunnels, 0, "id"));
    CHECK(rstream_inventory_forwarding_address(tunnels, 0) != NULL);
    CHECK(rstream_inventory_json(tunnels)[0] == '[');
  }
  if (log->close) CHECK_INT(rstream_watch_close(watch, count_call, &log->closed), 0);
}

static void on_end(rstream_watch *watch, const rstream_error *error, void *data) {
  struct log *log = data;
  CHECK(watch != NULL && log->ends++ == 0);
  log->code = rstream_error_code(error);
}

static rstream_watch *start(struct world *world, const rstream_filters *tunnels, int flags, struct log *log) {
  rstream_watch *watch = NULL;
  CHECK_INT(rstream_client_watch(world->client, tunnels, NULL, flags | transport, &watch, on_event, log), 0);
  CHECK_INT(rstream_watch_on_end(watch, on_end, log), 0);
  CHECK_INT(log->events, 0);
  return watch;
}

static void events(struct world *world) {
  struct log all = {0}, filtered = {0}, once = {.close = true};
  rstream_filters *filters = NULL;
  CHECK_INT(rstream_filters_new(RSTREAM_TUNNELS, &filters), 0);
  CHECK_INT(rstream_filters_set(filters, "name", "web", NULL), 0);
  rstream_watch *watch = start(world, NULL, RSTREAM_WATCH_RECONNECT, &all);
  rstream_watch *narrow = start(world, filters, 0, &filtered);
  start(world, NULL, 0, &once);
  rstream_filters_free(filters);
  run_until_count(world->loop, &all.events, 1);
  run_until_count(world->loop, &filtered.events, 1);
  run_until_count(world->loop, &once.closed, 1);
  CHECK_STR(all.types[0], "state.initial");
  CHECK(all.tunnels == 1 && all.clients == 1 && filtered.tunnels == 0 && filtered.clients == 1);
  CHECK_STR(all.id, rstream_tunnel_property(world->tunnel, "id"));

  const char *web[] = {"name", "web", "publish", "false", NULL}, *other[] = {"publish", "false", NULL};
  rstream_tunnel *tunnel = world_create_tunnel(world, web);
  char id[64];
  snprintf(id, sizeof id, "%s", rstream_tunnel_property(tunnel, "id"));
  world_create_tunnel(world, other);
  bool closed = false;
  CHECK_INT(rstream_tunnel_close(tunnel, set_flag, &closed), 0);
  run_until(world->loop, &closed);
  run_until_count(world->loop, &all.events, 4);
  run_until_count(world->loop, &filtered.events, 3);
  CHECK_STR(all.types[3], "tunnel.deleted");
  CHECK_STR(filtered.types[1], "tunnel.created");
  CHECK_STR(filtered.types[2], "tunnel.deleted");
  CHECK_STR(filtered.id, id);
  CHECK(filtered.tunnels == 1 && filtered.clients == 0);

  int ended = 0;
  CHECK_INT(rstream_watch_close(narrow, count_call, &ended), 0);
  CHECK(rstream_watch_close(narrow, count_call, &ended) != 0);
  run_until_count(world->loop, &ended, 1);
  CHECK(filtered.ends == 0 && all.ends == 0 && once.ends == 0 && once.events == 1);
  CHECK_INT(rstream_watch_close(watch, NULL, NULL), 0);
}

/* A callback for the end that is set after it is told as well. */
static void a_late_end(struct world *world) {
  const char *settings[] = {"engine", "localhost:1", NULL};
  rstream_client *client = world_client(world, settings);
  struct log log = {0};
  rstream_watch *watch = NULL;
  CHECK_INT(rstream_client_watch(client, NULL, NULL, RSTREAM_WATCH_RECONNECT | transport, &watch, on_event, &log), 0);
  run_idle(world->loop, 300);
  CHECK_INT(rstream_watch_on_end(watch, on_end, &log), 0);
  CHECK_INT(log.ends, 0);
  run_until_count(world->loop, &log.ends, 1);
  CHECK_INT(log.code, UV_ECONNREFUSED);
  bool closed = false;
  CHECK_INT(rstream_client_close(client, set_flag, &closed), 0);
  run_until(world->loop, &closed);
}

static void refusals(struct world *world) {
  rstream_filters *clients = NULL;
  rstream_watch *watch = NULL;
  CHECK_INT(rstream_filters_new(RSTREAM_CLIENTS, &clients), 0);
  CHECK_INT(rstream_client_watch(NULL, NULL, NULL, 0, &watch, on_event, NULL), UV_EINVAL);
  CHECK_INT(rstream_client_watch(world->client, clients, NULL, 0, &watch, on_event, NULL), UV_EINVAL);
  CHECK_INT(rstream_client_watch(world->client, NULL, NULL, 64, &watch, on_event, NULL), UV_EINVAL);
  CHECK_INT(rstream_client_watch(world->client, NULL, NULL, 0, NULL, on_event, NULL), UV_EINVAL);
  CHECK_INT(rstream_client_watch(world->client, NULL, NULL, 0, &watch, NULL, NULL), UV_EINVAL);
  CHECK(watch == NULL);
  CHECK_INT(rstream_watch_on_end(NULL, on_end, NULL), UV_EINVAL);
  CHECK_INT(rstream_watch_close(NULL, NULL, NULL), UV_EINVAL);
  CHECK(rstream_event_type(NULL) == NULL && rstream_event_json(NULL) == NULL);
  CHECK(rstream_event_inventory(NULL, RSTREAM_TUNNELS) == NULL);
  rstream_filters_free(clients);
}

static void the_engine_stops(struct world *world) {
  struct log log = {0};
  start(world, NULL, 0, &log);
  run_until_count(world->loop, &log.events, 1);
  CHECK_INT(rstream_engine_stop(world->engine, NULL, NULL), 0);
  run_until_count(world->loop, &log.ends, 1);
  CHECK_INT(log.code, 0);
}

static void all(void) {
  struct world world;
  world_begin(&world);
  world_open_tunnel(&world);
  events(&world);
  a_late_end(&world);
  refusals(&world);
  the_engine_stops(&world);

  /* One that is still going on when its client ends. */
  struct log log = {0};
  start(&world, NULL, RSTREAM_WATCH_RECONNECT, &log);
  bool closed = false;
  CHECK_INT(rstream_client_close(world.client, set_flag, &closed), 0);
  run_until(world.loop, &closed);
  CHECK(log.ends == 1 && log.code != 0);
  world_end(&world);
}

int main(void) {
  CHECK_INT(rstream_has_feature("watch"), 1);
  CHECK_INT(rstream_has_feature("watch.websocket"), 1);
  all();
  transport = RSTREAM_WATCH_WEBSOCKET;
  all();
  return 0;
}
