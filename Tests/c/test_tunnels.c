/* SPDX-License-Identifier: Apache-2.0 */
/* Making tunnels, what is known about them, targets that cannot be forwarded to, streams that wait. */
#include <uv.h>

#include "check.h"
#include "world.h"

static rstream_tunnel_options *options_of(const char *const *pairs) {
  rstream_tunnel_options *options = NULL;
  CHECK_INT(rstream_tunnel_options_new(&options), 0);
  for (; *pairs; pairs += 2) CHECK_INT(rstream_tunnel_options_set(options, pairs[0], pairs[1], NULL), 0);
  return options;
}

static void unexpected(rstream_tunnel *tunnel, const rstream_error *error, void *data) {
  (void)tunnel, (void)error, (void)data;
  CHECK(!"called though the call had failed");
}

/* Refused before anything is sent. */
static void refused_here(struct world *world) {
  const struct {
    const char *pairs[7];
    int code;
    const char *word;
  } cases[] = {
      {{"protocol", "http", "port", "8000"}, RSTREAM_EINVALID_TUNNEL, "tcp"},
      {{"port", "8000"}, RSTREAM_EINVALID_TUNNEL, "tcp"},
      {{"protocol", "tcp", "publish", "false"}, RSTREAM_EINVALID_TUNNEL, "publish"},
      {{"protocol", "tcp", "hostname", "x.example.com"}, RSTREAM_EINVALID_TUNNEL, "hostname"},
      {{"protocol", "tcp", "upstream_tls", "false"}, RSTREAM_EINVALID_TUNNEL, "upstream_tls"},
      {{"type", "datagram", "publish", "true"}, RSTREAM_EINVALID_TUNNEL, "publish"},
      {{"type", "bytestream", "protocol", "dtls"}, RSTREAM_EINVALID_TUNNEL, "dtls"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    rstream_tunnel_options *options = options_of(cases[i].pairs);
    rstream_error *error = NULL;
    CHECK_INT(rstream_control_create_tunnel(world->control, options, unexpected, NULL, &error), cases[i].code);
    CHECK_INT(rstream_error_code(error), cases[i].code);
    CHECK(strstr(rstream_error_message(error), cases[i].word) != NULL);
    rstream_error_free(error);
    rstream_tunnel_options_free(options);
  }
  CHECK_INT(rstream_control_create_tunnel(world->control, NULL, NULL, NULL, NULL), UV_EINVAL);
}

struct refusal {
  int calls, code, engine_code;
  char name[64];
};

static void on_refusal(rstream_tunnel *tunnel, const rstream_error *error, void *data) {
  struct refusal *refusal = data;
  CHECK(tunnel == NULL);
  refusal->calls++;
  refusal->code = rstream_error_code(error);
  refusal->engine_code = rstream_error_engine_code(error);
  snprintf(refusal->name, sizeof refusal->name, "%s", rstream_error_name(error));
}

static void refused_by_engine(struct world *world) {
  struct refusal refusal = {0};
  const char *const pairs[] = {"protocol", "http", "hostname", "elsewhere.example.com", NULL};
  rstream_tunnel_options *options = options_of(pairs);
  CHECK_INT(rstream_control_create_tunnel(world->control, options, on_refusal, &refusal, NULL), 0);
  CHECK_INT(refusal.calls, 0);
  rstream_tunnel_options_free(options);
  RUN_UNTIL(world, refusal.calls);
  CHECK_INT(refusal.code, RSTREAM_EENGINE);
  CHECK_INT(refusal.engine_code, RSTREAM_ENGINE_INVALID_REQUEST);
  CHECK_STR(refusal.name, "ERR_RSTREAM_ENGINE");
}

static void properties(struct world *world) {
  const char *const private_pairs[] = {"name", "a name", "publish", "false", "labels.team", "edge", NULL};
  rstream_tunnel *tunnel = world_create_tunnel(world, private_pairs);
  const char *id = rstream_tunnel_property(tunnel, "id");
  CHECK(id != NULL && strlen(id) > 0);
  CHECK(rstream_tunnel_property(tunnel, "id") == id);
  CHECK_STR(rstream_tunnel_property(tunnel, "name"), "a name");
  CHECK_STR(rstream_tunnel_property(tunnel, "type"), "bytestream");
  CHECK_STR(rstream_tunnel_property(tunnel, "publish"), "false");
  CHECK_STR(rstream_tunnel_property(tunnel, "labels.team"), "edge");
  CHECK(strchr(rstream_tunnel_property(tunnel, "creation_date"), 'T') != NULL);
  CHECK(rstream_tunnel_property(tunnel, "hostname") == NULL);
  CHECK(rstream_tunnel_property(tunnel, "labels.other") == NULL);
  CHECK(rstream_tunnel_property(tunnel, "no such property") == NULL);
  CHECK(rstream_tunnel_property(tunnel, "\xff") == NULL);
  CHECK(rstream_tunnel_property(tunnel, NULL) == NULL);
  CHECK_STR(rstream_tunnel_forwarding_address(tunnel), "rstrm://a name (unpublished)");

  const char *const published_pairs[] = {"protocol", "http", NULL};
  rstream_tunnel *published = world_create_tunnel(world, published_pairs);
  char expected[256];
  snprintf(expected, sizeof expected, "https://%s:%d", rstream_tunnel_property(published, "hostname"),
           rstream_engine_port(world->engine, "tls"));
  CHECK_STR(rstream_tunnel_forwarding_address(published), expected);
  CHECK(strstr(rstream_tunnel_property(published, "hostname"), ".t.localhost") != NULL);

  CHECK(strlen(rstream_control_client_id(world->control)) > 0);
  CHECK(rstream_control_server_detail(world->control, "agent") != NULL);
  CHECK(rstream_control_server_detail(world->control, "region") == NULL);
  CHECK(rstream_control_server_detail(world->control, "no such detail") == NULL);
  CHECK(rstream_control_server_detail(world->control, NULL) == NULL);

  int closed = 0;
  CHECK_INT(rstream_tunnel_close(tunnel, count_call, &closed), 0);
  CHECK_INT(rstream_tunnel_close(published, count_call, &closed), 0);
  RUN_UNTIL(world, closed == 2);
}

static const char *const target_test[] = {"name", "target-test", "publish", "false", NULL};
static const char *const waiting_test[] = {"name", "waiting-test", "publish", "false", NULL};

static void bad_targets(struct world *world) {
  rstream_tunnel *tunnel = world_create_tunnel(world, target_test);
  const char *const bad[] = {"",        "0",     "65536", "http://127.0.0.1:80", "host:port", "::1:80",
                             "[::1:80", "unix:", "a b:80"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    rstream_error *error = NULL;
    CHECK_INT(rstream_tunnel_forward(tunnel, bad[i], NULL, NULL, &error), RSTREAM_EINVALID_LOCAL_ENDPOINT);
    CHECK_STR(rstream_error_name(error), "ERR_RSTREAM_INVALID_LOCAL_ENDPOINT");
    rstream_error_free(error);
  }
  CHECK_INT(rstream_tunnel_forward(tunnel, NULL, NULL, NULL, NULL), UV_EINVAL);
  CHECK_INT(rstream_tunnel_forward(tunnel, "\xff:80", NULL, NULL, NULL), UV_EINVAL);

  /* Nobody listens there: the dialer's stream ends. */
  CHECK_INT(rstream_tunnel_forward(tunnel, "unix:/nonexistent/service.sock", NULL, NULL, NULL), 0);
  rstream_stream *stream = world_dial(world, world->client, "target-test");
  struct collector collector = {0};
  int closed = 0;
  CHECK_INT(rstream_stream_read_start(stream, collect, &collector), 0);
  run_until(world->loop, &collector.ended);
  CHECK_INT(rstream_stream_close(stream, count_call, &closed), 0);
  CHECK_INT(rstream_tunnel_close(tunnel, count_call, &closed), 0);
  CHECK_INT(rstream_tunnel_forward(tunnel, "80", NULL, NULL, NULL), RSTREAM_ETUNNEL_CLOSED);
  CHECK_INT(rstream_tunnel_listen(tunnel, NULL, NULL), RSTREAM_ETUNNEL_CLOSED);
  CHECK_INT(rstream_tunnel_on_end(tunnel, NULL, NULL), RSTREAM_ETUNNEL_CLOSED);
  RUN_UNTIL(world, closed == 2);
}

static void accept_and_count(rstream_tunnel *tunnel, rstream_stream *stream, void *data) {
  CHECK(tunnel != NULL);
  ++*(int *)data;
  CHECK_INT(rstream_stream_close(stream, NULL, NULL), 0);
}

/* Streams that come before anybody listens wait, and are handed out when somebody does. */
static void waiting_streams(struct world *world) {
  enum { STREAMS = 5 };
  rstream_tunnel *tunnel = world_create_tunnel(world, waiting_test);
  rstream_stream *streams[STREAMS];
  int accepted = 0, closed = 0;
  for (int i = 0; i < STREAMS; i++) streams[i] = world_dial(world, world->client, "waiting-test");
  CHECK_INT(rstream_tunnel_listen(tunnel, accept_and_count, &accepted), 0);
  CHECK_INT(accepted, 0);
  RUN_UNTIL(world, accepted == STREAMS);
  for (int i = 0; i < STREAMS; i++) CHECK_INT(rstream_stream_close(streams[i], count_call, &closed), 0);
  CHECK_INT(rstream_tunnel_close(tunnel, count_call, &closed), 0);
  RUN_UNTIL(world, closed == STREAMS + 1);
}

int main(void) {
  struct world world;
  world_begin(&world);
  world_open_tunnel(&world);
  refused_here(&world);
  refused_by_engine(&world);
  properties(&world);
  bad_targets(&world);
  waiting_streams(&world);
  world_end(&world);
  return 0;
}
