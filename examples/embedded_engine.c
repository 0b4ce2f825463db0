/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything in one program and on one loop: an engine for development, an agent with a private tunnel, and a dialer that
 * greets it. Good for a first look, and for tests that need a whole system without any other process.
 *
 *     embedded_engine [STATE_DIR]                    (where the engine keeps its CA; otherwise a temporary folder)
 */
#include <rstream.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rstream_loop *loop;
static rstream_engine *engine;
static rstream_client *agent, *dialer;

static void fail(const rstream_error *error) {
  fprintf(stderr, "%s: %s\n", rstream_error_name(error), rstream_error_message(error));
  exit(1);
}

/* The dialer: says its name, ends its direction, prints the answer. */

static void on_answer(rstream_stream *stream, const uint8_t *bytes, size_t len, const rstream_error *error,
                      void *data) {
  (void)stream, (void)data;
  if (error) fail(error);
  fwrite(bytes, 1, len, stdout);
  if (len == 0) rstream_loop_stop(loop);
}

static void on_dial(rstream_stream *stream, const rstream_error *error, void *data) {
  if (error) fail(error);
  rstream_buf name = {"dialer", 6};
  rstream_stream_read_start(stream, on_answer, data);
  rstream_stream_write(stream, &name, 1, NULL, NULL);
  rstream_stream_shutdown(stream, NULL, NULL);
}

/* The agent: greets whoever it is. */

typedef struct guest_name {
  char text[64];
  size_t length;
} guest_name;

static void on_guest_closed(void *data) {
  free(data);
}

static void on_guest(rstream_stream *stream, const uint8_t *bytes, size_t len, const rstream_error *error, void *data) {
  guest_name *guest = data;
  if (!error && len > 0) {
    size_t room = sizeof guest->text - 1 - guest->length;
    size_t taken = len < room ? len : room;
    memcpy(guest->text + guest->length, bytes, taken);
    guest->length += taken;
    return;
  }
  if (!error) {
    char greeting[128];
    int length = snprintf(greeting, sizeof greeting, "Hello %s, from the other side of the tunnel.\n", guest->text);
    rstream_buf buf = {greeting, (size_t)length};
    rstream_stream_write(stream, &buf, 1, NULL, NULL);
  }
  rstream_stream_close(stream, on_guest_closed, guest);
}

static void on_stream(rstream_tunnel *tunnel, rstream_stream *stream, void *data) {
  (void)tunnel, (void)data;
  guest_name *guest = calloc(1, sizeof *guest);
  if (!guest) exit(1);
  rstream_stream_read_start(stream, on_guest, guest);
}

static void on_tunnel(rstream_tunnel *tunnel, const rstream_error *error, void *data) {
  if (error) fail(error);
  rstream_tunnel_listen(tunnel, on_stream, data);
  printf("The agent offers %s\n", rstream_tunnel_forwarding_address(tunnel));
  rstream_client_dial(dialer, "greeter", on_dial, data);
}

static void on_control(rstream_control *control, const rstream_error *error, void *data) {
  if (error) fail(error);
  rstream_error *refusal = NULL;
  rstream_tunnel_options *options = NULL;
  rstream_tunnel_options_new(&options);
  rstream_tunnel_options_set(options, "name", "greeter", NULL);
  rstream_tunnel_options_set(options, "publish", "false", NULL);
  if (rstream_control_create_tunnel(control, options, on_tunnel, data, &refusal) != 0) fail(refusal);
  rstream_tunnel_options_free(options);
}

/* The engine, and what its clients need to know of it. */

static void start_engine(const char *state_dir) {
  rstream_engine_options *options = NULL;
  rstream_error *error = NULL;
  if (rstream_engine_options_new(&options) != 0) exit(1);
  rstream_engine_options_set(options, "dev.enabled", "true", NULL);
  rstream_engine_options_set(options, "tls.listen_addr", "localhost:0", NULL);
  if (rstream_engine_options_set(options, "dev.state_dir", state_dir, &error) != 0) fail(error);
  if (rstream_engine_new(loop, options, &engine, &error) != 0) fail(error);
  if (rstream_engine_start(engine, &error) != 0) fail(error);
  rstream_engine_options_free(options);
  printf("The engine listens on %s\n", rstream_engine_info(engine, "address"));
}

static rstream_client *make_client(void) {
  rstream_config *config = NULL;
  rstream_client *client = NULL;
  rstream_error *error = NULL;
  if (rstream_config_new(&config) != 0) exit(1);
  rstream_config_set(config, "engine", rstream_engine_info(engine, "address"), NULL);
  rstream_config_set(config, "transport.tls.caFile", rstream_engine_info(engine, "ca_file"), NULL);
  if (rstream_client_new(loop, config, &client, &error) != 0) fail(error);
  rstream_config_free(config);
  return client;
}

int main(int argc, char **argv) {
  char folder[] = "/tmp/embedded-engine-XXXXXX";
  const char *state_dir = argc > 1 ? argv[1] : mkdtemp(folder);
  if (!state_dir || rstream_loop_new(&loop) != 0) return 1;
  start_engine(state_dir);
  agent = make_client();
  dialer = make_client();
  rstream_client_connect(agent, on_control, NULL);
  rstream_loop_run(loop);
  /* Closes engine, clients, tunnel and streams, in the right order. */
  rstream_loop_close(loop, NULL, NULL);
  return 0;
}
