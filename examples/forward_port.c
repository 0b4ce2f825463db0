/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishes a local port: what "rstreamctl forward" does, as a program of your own.
 *
 *     rstreamctl engine --dev                        (says what to export)
 *     export RSTREAM_ENGINE=localhost:4443 RSTREAM_CA_FILE=...
 *     python3 -m http.server 8080 --bind 127.0.0.1
 *     forward_port 8080 [http|tls|tcp]
 *     curl --cacert $RSTREAM_CA_FILE https://...     (the address it prints)
 */
#include <rstream.h>
#include <stdio.h>
#include <uv.h>

static const char *target, *protocol;
static uv_signal_t interrupt;

static void on_closed(void *data) {
  (void)data;
  uv_close((uv_handle_t *)&interrupt, NULL);
}

/* Closing the loop closes everything on it: client, control channel, tunnel, streams. */
static void on_interrupt(uv_signal_t *signal, int number) {
  (void)number;
  uv_signal_stop(signal);
  rstream_loop_close(signal->data, on_closed, NULL);
}

static void fail(const rstream_error *error) {
  fprintf(stderr, "%s: %s\n", rstream_error_name(error), rstream_error_message(error));
  on_interrupt(&interrupt, 0);
}

static void on_forward(rstream_tunnel *tunnel, int event, const char *peer, uint64_t bytes_in, uint64_t bytes_out,
                       const rstream_error *error, void *data) {
  (void)tunnel, (void)data;
  if (event == RSTREAM_FORWARD_OPENED) {
    printf("%s connected\n", peer);
  } else {
    printf("%s: %llu bytes in, %llu bytes out%s%s\n", peer, (unsigned long long)bytes_in, (unsigned long long)bytes_out,
           error ? ", " : "", error ? rstream_error_message(error) : "");
  }
  fflush(stdout);
}

static void on_end(rstream_control *control, const rstream_error *error, void *data) {
  (void)control, (void)data;
  fprintf(stderr, "The connection has ended: %s\n", error ? rstream_error_message(error) : "the engine closed it");
  on_interrupt(&interrupt, 0);
}

static void on_tunnel(rstream_tunnel *tunnel, const rstream_error *error, void *data) {
  (void)data;
  if (error) {
    fail(error);
    return;
  }
  rstream_error *refusal = NULL;
  if (rstream_tunnel_forward(tunnel, target, on_forward, NULL, &refusal) != 0) {
    fail(refusal);
    rstream_error_free(refusal);
    return;
  }
  printf("%s -> %s\n", rstream_tunnel_forwarding_address(tunnel), target);
  fflush(stdout);
}

static void on_control(rstream_control *control, const rstream_error *error, void *data) {
  (void)data;
  if (error) {
    fail(error);
    return;
  }
  rstream_error *refusal = NULL;
  rstream_tunnel_options *options = NULL;
  rstream_control_on_end(control, on_end, NULL);
  rstream_tunnel_options_new(&options);
  rstream_tunnel_options_set(options, "protocol", protocol, NULL);
  if (rstream_control_create_tunnel(control, options, on_tunnel, NULL, &refusal) != 0) {
    fail(refusal);
    rstream_error_free(refusal);
  }
  rstream_tunnel_options_free(options);
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: %s PORT [http|tls|tcp]\n", argv[0]);
    return 2;
  }
  target = argv[1];
  protocol = argc > 2 ? argv[2] : "http";

  uv_loop_t *uv = uv_default_loop();
  rstream_loop *loop = NULL;
  rstream_config *config = NULL;
  rstream_client *client = NULL;
  rstream_error *error = NULL;
  if (rstream_loop_wrap(uv, &loop) != 0 || rstream_config_new(&config) != 0) return 1;
  uv_signal_init(uv, &interrupt);
  interrupt.data = loop;
  uv_signal_start(&interrupt, on_interrupt, SIGINT);

  /* RSTREAM_ENGINE, RSTREAM_CA_FILE, RSTREAM_AUTHENTICATION_TOKEN... */
  int status = rstream_config_load(config, &error);
  if (status == 0) status = rstream_client_new(loop, config, &client, &error);
  rstream_config_free(config);
  if (status == 0) {
    rstream_client_connect(client, on_control, NULL);
  } else {
    fail(error);
    rstream_error_free(error);
  }
  uv_run(uv, UV_RUN_DEFAULT);
  uv_loop_close(uv);
  return status == 0 ? 0 : 1;
}
