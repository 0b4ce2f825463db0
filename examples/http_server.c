/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A web server that listens nowhere: its requests come through a tunnel. It runs in the caller's own libuv loop, beside
 * whatever else that loop does (here a timer counts the seconds).
 *
 *     rstreamctl engine --dev                        (says what to export)
 *     export RSTREAM_ENGINE=localhost:4443 RSTREAM_CA_FILE=...
 *     http_server
 *     curl --cacert $RSTREAM_CA_FILE https://...     (the address it prints)
 */
#include <rstream.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { HEAD_LIMIT = 16384 };

/* A connection of a browser, which may send one request after the other. */
typedef struct http_connection {
  size_t length;
  char head[HEAD_LIMIT];
} http_connection;

static uv_timer_t clock_timer;
static uv_signal_t interrupt;
static unsigned long seconds, requests;

static void on_closed(void *data) {
  (void)data;
  uv_close((uv_handle_t *)&interrupt, NULL);
  uv_close((uv_handle_t *)&clock_timer, NULL);
}

/* Closing the rstream loop closes what librstream has on the uv loop, and nothing else. */
static void on_interrupt(uv_signal_t *signal, int number) {
  (void)number;
  uv_signal_stop(signal);
  rstream_loop_close(signal->data, on_closed, NULL);
}

static void on_second(uv_timer_t *timer) {
  (void)timer;
  seconds++;
}

static void fail(const rstream_error *error) {
  fprintf(stderr, "%s: %s\n", rstream_error_name(error), rstream_error_message(error));
  on_interrupt(&interrupt, 0);
}

static void on_stream_closed(void *data) {
  free(data);
}

/* Answers the request whose head is complete. Returns whether the connection goes on. */
static int answer(rstream_stream *stream, const char *head) {
  int is_get = strncmp(head, "GET ", 4) == 0, is_head = strncmp(head, "HEAD ", 5) == 0;
  int goes_on = (is_get || is_head) && strstr(head, " HTTP/1.1\r\n") && !strstr(head, "\r\nConnection: close");
  char body[256], response[512];
  if (is_get || is_head) {
    snprintf(body, sizeof body, "Hello %s, this is request %lu in %lu seconds.\n", rstream_stream_peer(stream),
             ++requests, seconds);
  } else {
    snprintf(body, sizeof body, "Only GET and HEAD are answered here.\n");
  }
  snprintf(response, sizeof response,
           "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\nConnection: %s\r\n\r\n%s",
           is_get || is_head ? "200 OK" : "405 Method Not Allowed\r\nAllow: GET, HEAD", strlen(body),
           goes_on ? "keep-alive" : "close", is_head ? "" : body);
  rstream_buf buf = {response, strlen(response)};
  return rstream_stream_write(stream, &buf, 1, NULL, NULL) == 0 && goes_on;
}

static void on_read(rstream_stream *stream, const uint8_t *bytes, size_t len, const rstream_error *error, void *data) {
  http_connection *connection = data;
  int goes_on = !error && len > 0 && len < HEAD_LIMIT - connection->length;
  if (goes_on) {
    memcpy(connection->head + connection->length, bytes, len);
    connection->length += len;
    connection->head[connection->length] = '\0';
    char *end;
    while (goes_on && (end = strstr(connection->head, "\r\n\r\n")) != NULL) {
      size_t used = (size_t)(end + 4 - connection->head);
      end[2] = '\0';
      goes_on = answer(stream, connection->head);
      connection->length -= used;
      memmove(connection->head, connection->head + used, connection->length + 1);
    }
  }
  /* What was written is still sent. */
  if (!goes_on) rstream_stream_close(stream, on_stream_closed, connection);
}

static void on_stream(rstream_tunnel *tunnel, rstream_stream *stream, void *data) {
  (void)tunnel, (void)data;
  http_connection *connection = calloc(1, sizeof *connection);
  if (!connection || rstream_stream_read_start(stream, on_read, connection) != 0) {
    rstream_stream_reset(stream, on_stream_closed, connection);
  }
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
  rstream_tunnel_listen(tunnel, on_stream, NULL);
  printf("%s\n", rstream_tunnel_forwarding_address(tunnel));
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
  rstream_tunnel_options_set(options, "protocol", "http", NULL);
  if (rstream_control_create_tunnel(control, options, on_tunnel, NULL, &refusal) != 0) {
    fail(refusal);
    rstream_error_free(refusal);
  }
  rstream_tunnel_options_free(options);
}

int main(void) {
  uv_loop_t *uv = uv_default_loop();
  rstream_loop *loop = NULL;
  rstream_config *config = NULL;
  rstream_client *client = NULL;
  rstream_error *error = NULL;
  uv_timer_init(uv, &clock_timer);
  uv_timer_start(&clock_timer, on_second, 1000, 1000);
  if (rstream_loop_wrap(uv, &loop) != 0 || rstream_config_new(&config) != 0) return 1;
  uv_signal_init(uv, &interrupt);
  interrupt.data = loop;
  uv_signal_start(&interrupt, on_interrupt, SIGINT);

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
