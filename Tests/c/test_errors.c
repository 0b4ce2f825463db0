/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong when connecting and creating tunnels, and how it is told. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "check.h"
#include "world.h"

struct outcome {
  bool done;
  int code;
  int engine_code;
  char message[512];
};

static void note(struct outcome *outcome, const void *value, const rstream_error *error) {
  CHECK((value == NULL) == (error != NULL));
  outcome->done = true;
  outcome->code = rstream_error_code(error);
  outcome->engine_code = rstream_error_engine_code(error);
  snprintf(outcome->message, sizeof outcome->message, "%s", error ? rstream_error_message(error) : "");
}

static void on_control(rstream_control *control, const rstream_error *error, void *data) {
  note(data, control, error);
}

static void on_tunnel(rstream_tunnel *tunnel, const rstream_error *error, void *data) {
  note(data, tunnel, error);
}

static rstream_client *client_for(struct world *world, const char *engine, const char *name, const char *value) {
  const char *settings[] = {"engine", engine, name, value, NULL};
  if (!name) settings[2] = NULL;
  return world_client(world, settings);
}

static struct outcome connect_to(struct world *world, const char *engine, const char *name, const char *value) {
  struct outcome outcome = {0};
  rstream_client *client = client_for(world, engine, name, value);
  CHECK_INT(rstream_client_connect(client, on_control, &outcome), 0);
  CHECK(!outcome.done);
  run_until(world->loop, &outcome.done);
  bool closed = false;
  CHECK_INT(rstream_client_close(client, set_flag, &closed), 0);
  run_until(world->loop, &closed);
  return outcome;
}

/* A listener that accepts nothing: connections to it succeed and stay silent. */
static int silent_port(int *listener) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t len = sizeof address;
  *listener = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_INT(bind(*listener, (struct sockaddr *)&address, sizeof address), 0);
  CHECK_INT(listen(*listener, 8), 0);
  CHECK_INT(getsockname(*listener, (struct sockaddr *)&address, &len), 0);
  return ntohs(address.sin_port);
}

static void make_certificate(const char *path) {
  char command[256];
  snprintf(command, sizeof command,
           "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other -keyout /dev/null "
           "-out '%s' 2>/dev/null",
           path);
  CHECK_INT(system(command), 0);
}

static void connecting(struct world *world) {
  char engine[64];
  int listener;
  int port = silent_port(&listener);
  snprintf(engine, sizeof engine, "127.0.0.1:%d", port);

  struct timespec before, after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  struct outcome outcome = connect_to(world, engine, "timeouts.connectMs", "200");
  clock_gettime(CLOCK_MONOTONIC, &after);
  CHECK_INT(outcome.code, RSTREAM_EOPERATION_TIMEOUT);
  /* Far from the default of 15 s, also on a busy machine. */
  CHECK(after.tv_sec - before.tv_sec < 12);

  close(listener);
  outcome = connect_to(world, engine, NULL, NULL);
  CHECK_INT(outcome.code, UV_ECONNREFUSED);
  CHECK(strstr(outcome.message, engine) != NULL);

  const char *address = rstream_engine_info(world->engine, "address");
  outcome = connect_to(world, address, "transport.tls.serverName", "other.example");
  CHECK_INT(outcome.code, RSTREAM_ETLS);
  CHECK(strstr(outcome.message, "unrecognized name") != NULL);

  /* Certificates that did not make the engine's. */
  char other[96];
  snprintf(other, sizeof other, "%s/other.pem", world->directory);
  make_certificate(other);
  outcome = connect_to(world, address, "transport.tls.caFile", other);
  CHECK_INT(outcome.code, RSTREAM_ETLS);
  CHECK(strstr(outcome.message, "certificate") != NULL);

  outcome = connect_to(world, address, "transport.tls.insecureSkipVerify", "true");
  CHECK_INT(outcome.code, 0);
}

static void client_settings(struct world *world) {
  rstream_config *config;
  rstream_client *client = NULL;
  rstream_error *error = NULL;
  CHECK_INT(rstream_config_new(&config), 0);
  CHECK_INT(rstream_client_new(world->loop, config, &client, &error), RSTREAM_EENGINE_REQUIRED);
  rstream_error_free(error);
  CHECK_INT(rstream_config_set(config, "engine", "localhost:1", NULL), 0);

  CHECK_INT(rstream_config_set(config, "auth.token", "my-secret-token", NULL), 0);
  CHECK_INT(rstream_config_set(config, "auth.mtls.certificateFile", "/nonexistent/c.pem", NULL), 0);
  CHECK_INT(rstream_client_new(world->loop, config, &client, NULL), RSTREAM_EMTLS_INCOMPLETE);
  CHECK_INT(rstream_config_set(config, "auth.mtls.keyFile", "/nonexistent/k.pem", NULL), 0);
  CHECK_INT(rstream_client_new(world->loop, config, &client, &error), RSTREAM_EAUTH_CONFLICT);
  CHECK(strstr(rstream_error_message(error), "my-secret-token") == NULL);
  rstream_error_free(error);
  CHECK_INT(rstream_config_set(config, "auth.token", NULL, NULL), 0);
  CHECK_INT(rstream_client_new(world->loop, config, &client, &error), RSTREAM_ETLS);
  CHECK(strstr(rstream_error_message(error), "/nonexistent/c.pem") != NULL);
  rstream_error_free(error);
  CHECK(client == NULL);
  rstream_config_free(config);
}

static int create(struct world *world, const char *const *options, struct outcome *outcome, char *message) {
  rstream_tunnel_options *properties;
  rstream_error *error = NULL;
  CHECK_INT(rstream_tunnel_options_new(&properties), 0);
  for (; *options; options += 2) CHECK_INT(rstream_tunnel_options_set(properties, options[0], options[1], NULL), 0);
  memset(outcome, 0, sizeof *outcome);
  int status = rstream_control_create_tunnel(world->control, properties, on_tunnel, outcome, &error);
  snprintf(message, 256, "%s", error ? rstream_error_message(error) : "");
  rstream_error_free(error);
  rstream_tunnel_options_free(properties);
  if (status == 0) run_until(world->loop, &outcome->done);
  return status;
}

static void creating(struct world *world) {
  struct outcome outcome;
  char message[256];
  world_open_tunnel(world);
  const char *port_without_tcp[] = {"port", "10000", NULL};
  CHECK_INT(create(world, port_without_tcp, &outcome, message), RSTREAM_EINVALID_TUNNEL);
  CHECK(strstr(message, "tcp") != NULL);
  const char *tcp_with_auth[] = {"protocol", "tcp", "token_auth", "false", NULL};
  CHECK_INT(create(world, tcp_with_auth, &outcome, message), RSTREAM_EINVALID_TUNNEL);
  const char *bare_packets[] = {"type", "datagram", "publish", "true", NULL};
  CHECK_INT(create(world, bare_packets, &outcome, message), RSTREAM_EINVALID_TUNNEL);
  CHECK(!outcome.done);

  /* What only the engine can decide comes back as its error. */
  const char *outside[] = {"protocol", "http", "hostname", "www.example.com", NULL};
  CHECK_INT(create(world, outside, &outcome, message), 0);
  CHECK_INT(outcome.code, RSTREAM_EENGINE);
  CHECK_INT(outcome.engine_code, RSTREAM_ENGINE_INVALID_REQUEST);
  const char *taken[] = {"protocol", "http", "hostname", "taken", NULL};
  CHECK_INT(create(world, taken, &outcome, message), 0);
  CHECK_INT(outcome.code, 0);
  CHECK_INT(create(world, taken, &outcome, message), 0);
  CHECK_INT(outcome.engine_code, RSTREAM_ENGINE_RESOURCE_CONFLICT);
  const char *no_range[] = {"protocol", "tcp", NULL};
  CHECK_INT(create(world, no_range, &outcome, message), 0);
  CHECK_INT(outcome.engine_code, RSTREAM_ENGINE_FEATURE_NOT_AVAILABLE);
}

int main(void) {
  struct world world;
  world_begin(&world);
  client_settings(&world);
  connecting(&world);
  creating(&world);
  world_end(&world);
  return 0;
}
