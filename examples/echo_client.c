/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dials a private tunnel, sends a text, ends its own direction, and prints what comes back until the other one ends.
 *
 *     echo_server [NAME]                             (says how to start)
 *     export RSTREAM_ENGINE=localhost:4443 RSTREAM_CA_FILE=...
 *     echo_client [NAME] [TEXT]
 */
#include <rstream.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *name = "echo", *text = "hello";

static void fail(const rstream_error *error) {
  fprintf(stderr, "%s: %s\n", rstream_error_name(error), rstream_error_message(error));
  exit(1);
}

static void on_read(rstream_stream *stream, const uint8_t *bytes, size_t len, const rstream_error *error, void *data) {
  (void)data;
  if (error) fail(error);
  fwrite(bytes, 1, len, stdout);
  /* Nothing is left on the loop then: rstream_loop_run() returns. */
  if (len == 0) rstream_stream_close(stream, NULL, NULL);
}

static void on_dial(rstream_stream *stream, const rstream_error *error, void *data) {
  if (error) fail(error);
  rstream_buf lines[] = {{text, strlen(text)}, {"\n", 1}};
  rstream_stream_read_start(stream, on_read, data);
  rstream_stream_write(stream, lines, 2, NULL, NULL);
  rstream_stream_shutdown(stream, NULL, NULL);
}

int main(int argc, char **argv) {
  rstream_loop *loop = NULL;
  rstream_config *config = NULL;
  rstream_client *client = NULL;
  rstream_error *error = NULL;
  if (argc > 1) name = argv[1];
  if (argc > 2) text = argv[2];
  if (rstream_loop_new(&loop) != 0 || rstream_config_new(&config) != 0) return 1;
  if (rstream_config_load(config, &error) != 0) fail(error);
  /* Ask the engine first, so that a tunnel that does not exist is an error and not a stream that ends at once. */
  rstream_config_set(config, "zeroRtt", "false", NULL);
  if (rstream_client_new(loop, config, &client, &error) != 0) fail(error);
  rstream_config_free(config);
  rstream_client_dial(client, name, on_dial, NULL);
  rstream_loop_run(loop);
  rstream_loop_close(loop, NULL, NULL);
  return 0;
}
