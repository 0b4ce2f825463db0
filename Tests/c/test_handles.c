/* SPDX-License-Identifier: Apache-2.0 */
/* NULL handles, calls from another thread, calls after a close, closing in any order: codes, and no crash. */
#include <netinet/in.h>
#include <pthread.h>
#include <rstream.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "check.h"

static void on_connect(rstream_control *control, const rstream_error *error, void *data) {
  CHECK(control == NULL && error != NULL);
  *(int *)data = rstream_error_code(error);
}

static void on_dial(rstream_stream *stream, const rstream_error *error, void *data) {
  CHECK(stream == NULL && error != NULL);
  *(int *)data = rstream_error_code(error);
}

static void on_tunnel(rstream_tunnel *tunnel, const rstream_error *error, void *data) {
  (void)tunnel, (void)error, (void)data;
}

static void on_read(rstream_stream *stream, const uint8_t *bytes, size_t len, const rstream_error *error, void *data) {
  (void)stream, (void)bytes, (void)len, (void)error, (void)data;
}

static void count(void *data) {
  ++*(int *)data;
}

static void null_handles(void) {
  rstream_client *client = NULL;
  rstream_engine *engine = NULL;
  rstream_error *error = NULL;
  rstream_buf buf = {"x", 1};
  int fd = -1;

  CHECK_INT(rstream_client_new(NULL, NULL, &client, &error), UV_EINVAL);
  CHECK_INT(rstream_error_code(error), UV_EINVAL);
  rstream_error_free(error);
  CHECK(client == NULL);
  CHECK_INT(rstream_client_close(NULL, count, NULL), UV_EINVAL);
  CHECK_INT(rstream_client_connect(NULL, on_connect, NULL), UV_EINVAL);
  CHECK_INT(rstream_client_dial(NULL, "x", on_dial, NULL), UV_EINVAL);

  CHECK_INT(rstream_control_on_end(NULL, NULL, NULL), UV_EINVAL);
  CHECK(rstream_control_client_id(NULL) == NULL);
  CHECK(rstream_control_server_detail(NULL, "agent") == NULL);
  CHECK_INT(rstream_control_create_tunnel(NULL, NULL, on_tunnel, NULL, NULL), UV_EINVAL);
  CHECK_INT(rstream_control_close(NULL, NULL, NULL), UV_EINVAL);

  CHECK(rstream_tunnel_property(NULL, "id") == NULL);
  CHECK(rstream_tunnel_property_name(NULL, 0) == NULL);
  CHECK(rstream_tunnel_forwarding_address(NULL) == NULL);
  CHECK_INT(rstream_tunnel_listen(NULL, NULL, NULL), UV_EINVAL);
  CHECK_INT(rstream_tunnel_forward(NULL, "80", NULL, NULL, NULL), UV_EINVAL);
  CHECK_INT(rstream_tunnel_on_end(NULL, NULL, NULL), UV_EINVAL);
  CHECK_INT(rstream_tunnel_close(NULL, NULL, NULL), UV_EINVAL);

  CHECK_INT(rstream_stream_read_start(NULL, on_read, NULL), UV_EINVAL);
  CHECK_INT(rstream_stream_read_stop(NULL), UV_EINVAL);
  CHECK_INT(rstream_stream_write(NULL, &buf, 1, NULL, NULL), UV_EINVAL);
  CHECK_INT(rstream_stream_write_queue_size(NULL), 0);
  CHECK_INT(rstream_stream_shutdown(NULL, NULL, NULL), UV_EINVAL);
  CHECK(rstream_stream_peer(NULL) == NULL);
  CHECK(rstream_stream_id(NULL) == NULL);
  CHECK_INT(rstream_stream_into_fd(NULL, &fd), UV_EINVAL);
  CHECK_INT(rstream_stream_close(NULL, NULL, NULL), UV_EINVAL);
  CHECK_INT(rstream_stream_reset(NULL, NULL, NULL), UV_EINVAL);

  CHECK_INT(rstream_engine_new(NULL, NULL, &engine, NULL), UV_EINVAL);
  CHECK_INT(rstream_engine_start(NULL, NULL), UV_EINVAL);
  CHECK_INT(rstream_engine_port(NULL, "tls"), UV_EINVAL);
  CHECK(rstream_engine_info(NULL, "address") == NULL);
  CHECK_INT(rstream_engine_stop(NULL, NULL, NULL), UV_EINVAL);
  CHECK_INT(rstream_engine_close(NULL, NULL, NULL), UV_EINVAL);
}

/* A config for an engine address where connections are made but nobody answers. */
static rstream_config *silent_engine(int *listener) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  *listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(bind(*listener, (struct sockaddr *)&address, sizeof address) == 0);
  CHECK(listen(*listener, 16) == 0);
  CHECK(getsockname(*listener, (struct sockaddr *)&address, &length) == 0);
  char engine[64];
  snprintf(engine, sizeof engine, "127.0.0.1:%d", ntohs(address.sin_port));
  rstream_config *config = NULL;
  CHECK_INT(rstream_config_new(&config), 0);
  CHECK_INT(rstream_config_set(config, "engine", engine, NULL), 0);
  return config;
}

static void bad_configs(void) {
  rstream_loop *loop = NULL;
  rstream_client *client = NULL;
  rstream_config *config = NULL;
  rstream_error *error = NULL;
  CHECK_INT(rstream_loop_new(&loop), 0);
  CHECK_INT(rstream_config_new(&config), 0);
  CHECK_INT(rstream_client_new(loop, config, &client, &error), RSTREAM_EENGINE_REQUIRED);
  CHECK_STR(rstream_error_name(error), "ERR_RSTREAM_ENGINE_REQUIRED");
  rstream_error_free(error);
  CHECK_INT(rstream_config_set(config, "engine", "edge.example.com", NULL), 0);
  CHECK_INT(rstream_client_new(loop, config, NULL, NULL), UV_EINVAL);
  CHECK_INT(rstream_client_new(loop, NULL, &client, NULL), UV_EINVAL);

  CHECK_INT(rstream_config_set(config, "auth.mtls.certificateFile", "/nonexistent/c.pem", NULL), 0);
  CHECK_INT(rstream_client_new(loop, config, &client, NULL), RSTREAM_EMTLS_INCOMPLETE);
  CHECK_INT(rstream_config_set(config, "auth.mtls.keyFile", "/nonexistent/k.pem", NULL), 0);
  CHECK_INT(rstream_client_new(loop, config, &client, &error), RSTREAM_ETLS);
  CHECK(strstr(rstream_error_message(error), "/nonexistent/") != NULL);
  rstream_error_free(error);
  CHECK_INT(rstream_config_set(config, "auth.token", "secret", NULL), 0);
  CHECK_INT(rstream_client_new(loop, config, &client, NULL), RSTREAM_EAUTH_CONFLICT);
  CHECK(client == NULL);
  rstream_config_free(config);
  CHECK_INT(rstream_loop_close(loop, NULL, NULL), 0);
}

static void *misuse(void *data) {
  rstream_client *client = data;
  int unused = 0;
  CHECK_INT(rstream_client_connect(client, on_connect, &unused), RSTREAM_EWRONGTHREAD);
  CHECK_INT(rstream_client_dial(client, "x", on_dial, &unused), RSTREAM_EWRONGTHREAD);
  CHECK_INT(rstream_client_close(client, NULL, NULL), RSTREAM_EWRONGTHREAD);
  return NULL;
}

static rstream_config *config;

static void *misuse_loop(void *data) {
  rstream_client *client = NULL;
  CHECK_INT(rstream_client_new(data, config, &client, NULL), RSTREAM_EWRONGTHREAD);
  return NULL;
}

static void run_in_thread(void *(*body)(void *), void *data) {
  pthread_t thread;
  CHECK_INT(pthread_create(&thread, NULL, body, data), 0);
  pthread_join(thread, NULL);
}

/* Operations under way end with the client, each with one callback, before the client's own. */
static void close_client_with_operations(void) {
  rstream_loop *loop = NULL;
  rstream_client *client = NULL;
  int listener, connected = 0, dialed = 0, closed = 0;
  config = silent_engine(&listener);
  CHECK_INT(rstream_loop_new(&loop), 0);
  CHECK_INT(rstream_client_new(loop, config, &client, NULL), 0);
  run_in_thread(misuse, client);
  run_in_thread(misuse_loop, loop);

  CHECK_INT(rstream_client_connect(client, NULL, NULL), UV_EINVAL);
  CHECK_INT(rstream_client_dial(client, "x", NULL, NULL), UV_EINVAL);
  CHECK_INT(rstream_client_dial(client, NULL, on_dial, NULL), UV_EINVAL);
  CHECK_INT(rstream_client_dial(client, "\xff", on_dial, NULL), UV_EINVAL);
  CHECK_INT(rstream_client_dial(client, " \t", on_dial, NULL), RSTREAM_EINVALID_TUNNEL);

  CHECK_INT(rstream_client_connect(client, on_connect, &connected), 0);
  CHECK_INT(rstream_client_dial(client, "x", on_dial, &dialed), 0);
  CHECK(rstream_loop_run_nowait(loop) == 1);
  CHECK_INT(rstream_client_close(client, count, &closed), 0);
  CHECK_INT(connected, 0);
  CHECK_INT(rstream_client_close(client, count, &closed), RSTREAM_ECLIENT_CLOSED);
  CHECK_INT(rstream_client_connect(client, on_connect, &connected), RSTREAM_ECLIENT_CLOSED);
  CHECK_INT(rstream_client_dial(client, "x", on_dial, &dialed), RSTREAM_ECLIENT_CLOSED);
  CHECK_INT(rstream_loop_run(loop), 0);
  CHECK_INT(connected, RSTREAM_ECLIENT_CLOSED);
  CHECK_INT(dialed, RSTREAM_ECLIENT_CLOSED);
  CHECK_INT(closed, 1);

  /* The same by closing the loop, whose client is closed by hand meanwhile. */
  CHECK_INT(rstream_client_new(loop, config, &client, NULL), 0);
  connected = 0;
  CHECK_INT(rstream_client_connect(client, on_connect, &connected), 0);
  CHECK_INT(rstream_loop_close(loop, count, &closed), 0);
  CHECK_INT(connected, RSTREAM_ECLIENT_CLOSED);
  CHECK_INT(closed, 2);
  rstream_config_free(config);
  close(listener);
}

typedef struct sequence {
  char text[16];
} sequence;

static void client_closed(void *data) {
  strcat(((sequence *)data)->text, "c");
}

static void loop_closed(void *data) {
  strcat(((sequence *)data)->text, "l");
}

static void connect_refused(rstream_control *control, const rstream_error *error, void *data) {
  (void)control;
  CHECK_INT(rstream_error_code(error), RSTREAM_ECLIENT_CLOSED);
  strcat(((sequence *)data)->text, "o");
}

/* A child that is closed between its parent's close and the parent's callback hears its own callback first. */
static void close_child_of_closing_parent(void) {
  uv_loop_t uv;
  rstream_loop *loop = NULL;
  rstream_client *client = NULL, *forgotten = NULL;
  sequence order = {""};
  int listener;
  config = silent_engine(&listener);
  CHECK_INT(uv_loop_init(&uv), 0);
  CHECK_INT(rstream_loop_wrap(&uv, &loop), 0);
  CHECK_INT(rstream_client_new(loop, config, &client, NULL), 0);
  CHECK_INT(rstream_client_new(loop, config, &forgotten, NULL), 0);
  CHECK_INT(rstream_client_connect(client, connect_refused, &order), 0);
  CHECK_INT(rstream_loop_close(loop, loop_closed, &order), 0);
  CHECK_INT(rstream_client_new(loop, config, &forgotten, NULL), RSTREAM_ELOOP_CLOSED);
  CHECK_INT(rstream_client_dial(client, "x", on_dial, NULL), RSTREAM_ECLIENT_CLOSED);
  CHECK_INT(rstream_client_close(client, client_closed, &order), 0);
  CHECK_INT(rstream_client_close(client, client_closed, &order), RSTREAM_ECLIENT_CLOSED);
  CHECK_STR(order.text, "");
  CHECK_INT(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK_STR(order.text, "ocl");
  CHECK_INT(uv_loop_close(&uv), 0);
  rstream_config_free(config);
  close(listener);
}

static void *independent_loop(void *data) {
  for (int round = 0; round < 10; round++) {
    rstream_loop *loop = NULL;
    rstream_client *client = NULL;
    int dialed = 0, closed = 0;
    CHECK_INT(rstream_loop_new(&loop), 0);
    CHECK_INT(rstream_client_new(loop, data, &client, NULL), 0);
    CHECK_INT(rstream_client_dial(client, "x", on_dial, &dialed), 0);
    CHECK(rstream_loop_run_nowait(loop) == 1);
    CHECK_INT(rstream_loop_close(loop, count, &closed), 0);
    CHECK_INT(dialed, RSTREAM_ECLIENT_CLOSED);
    CHECK_INT(closed, 1);
  }
  return NULL;
}

static void loops_on_threads(void) {
  enum { THREADS = 4 };
  pthread_t threads[THREADS];
  rstream_config *configs[THREADS];
  int listeners[THREADS];
  for (int i = 0; i < THREADS; i++) {
    configs[i] = silent_engine(&listeners[i]);
    CHECK_INT(pthread_create(&threads[i], NULL, independent_loop, configs[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    rstream_config_free(configs[i]);
    close(listeners[i]);
  }
}

int main(void) {
  null_handles();
  bad_configs();
  close_client_with_operations();
  close_child_of_closing_parent();
  loops_on_threads();
  return 0;
}
