/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends back what it receives on each stream of a private tunnel, no faster than the other side takes it. It needs no
 * libuv of its own: librstream brings the loop.
 *
 *     rstreamctl engine --dev                        (says what to export)
 *     export RSTREAM_ENGINE=localhost:4443 RSTREAM_CA_FILE=...
 *     echo_server [NAME]
 *     echo_client [NAME] [TEXT]
 */
#include <rstream.h>
#include <stdio.h>
#include <stdlib.h>

/* Reading stops while more than this waits to be sent back. */
enum { HIGH_WATER = 256 * 1024 };

static const char *name = "echo";
static rstream_loop *loop;

static void fail(const rstream_error *error) {
  fprintf(stderr, "%s: %s\n", rstream_error_name(error), rstream_error_message(error));
  exit(1);
}

static void on_read(rstream_stream *stream, const uint8_t *bytes, size_t len, const rstream_error *error, void *data);

static void on_written(rstream_stream *stream, const rstream_error *error, void *data) {
  if (error) {
    rstream_stream_close(stream, NULL, NULL); /* refused, and rightly, when the stream is being closed already */
  } else if (rstream_stream_write_queue_size(stream) <= HIGH_WATER) {
    rstream_stream_read_start(stream, on_read, data); /* RSTREAM_EALREADY unless reading had been stopped */
  }
}

static void on_shut(rstream_stream *stream, const rstream_error *error, void *data) {
  (void)error, (void)data;
  rstream_stream_close(stream, NULL, NULL);
}

static void on_read(rstream_stream *stream, const uint8_t *bytes, size_t len, const rstream_error *error, void *data) {
  if (error) {
    fprintf(stderr, "%s: %s\n", rstream_stream_peer(stream), rstream_error_message(error));
    rstream_stream_close(stream, NULL, NULL);
  } else if (len == 0) {
    rstream_stream_shutdown(stream, on_shut, NULL);
  } else {
    rstream_buf buf = {bytes, len};
    rstream_stream_write(stream, &buf, 1, on_written, data);
    if (rstream_stream_write_queue_size(stream) > HIGH_WATER) rstream_stream_read_stop(stream);
  }
}

static void on_stream(rstream_tunnel *tunnel, rstream_stream *stream, void *data) {
  (void)tunnel;
  printf("a stream from %s\n", rstream_stream_peer(stream));
  fflush(stdout);
  rstream_stream_read_start(stream, on_read, data);
}

static void on_end(rstream_control *control, const rstream_error *error, void *data) {
  (void)control, (void)data;
  fprintf(stderr, "The connection has ended: %s\n", error ? rstream_error_message(error) : "the engine closed it");
  exit(1);
}

static void on_tunnel(rstream_tunnel *tunnel, const rstream_error *error, void *data) {
  if (error) fail(error);
  rstream_tunnel_listen(tunnel, on_stream, data);
  printf("%s\n", rstream_tunnel_forwarding_address(tunnel));
  fflush(stdout);
}

static void on_control(rstream_control *control, const rstream_error *error, void *data) {
  if (error) fail(error);
  rstream_error *refusal = NULL;
  rstream_tunnel_options *options = NULL;
  rstream_control_on_end(control, on_end, data);
  rstream_tunnel_options_new(&options);
  if (rstream_tunnel_options_set(options, "name", name, &refusal) != 0) fail(refusal);
  rstream_tunnel_options_set(options, "publish", "false", NULL);
  if (rstream_control_create_tunnel(control, options, on_tunnel, data, &refusal) != 0) fail(refusal);
  rstream_tunnel_options_free(options);
}

int main(int argc, char **argv) {
  rstream_config *config = NULL;
  rstream_client *client = NULL;
  rstream_error *error = NULL;
  if (argc > 1) name = argv[1];
  if (rstream_loop_new(&loop) != 0 || rstream_config_new(&config) != 0) return 1;
  if (rstream_config_load(config, &error) != 0) fail(error);
  if (rstream_client_new(loop, config, &client, &error) != 0) fail(error);
  rstream_config_free(config);
  rstream_client_connect(client, on_control, NULL);
  return rstream_loop_run(loop) < 0;
}
