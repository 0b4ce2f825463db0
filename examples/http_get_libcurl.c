/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP GET with libcurl, which blocks and knows nothing of tunnels, from a server behind a private tunnel: the stream
 * is turned into a file descriptor for it. The loop that carries the bytes runs on a thread of its own.
 *
 *     rstreamctl engine --dev                        (says what to export)
 *     export RSTREAM_ENGINE=localhost:4443 RSTREAM_CA_FILE=...
 *     python3 -m http.server 8080 --bind 127.0.0.1
 *     rstreamctl forward 8080 --no-publish --name web
 *     http_get_libcurl web /
 */
#define _GNU_SOURCE
#include <curl/curl.h>
#include <fcntl.h>
#include <rstream.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

/* The thread with the loop, and what it hands over to the others. */
static uv_thread_t thread;
static uv_sem_t is_ready;
static rstream_loop *loop;
static rstream_client *client;
static uv_async_t keep_running;

typedef struct dial_request {
  const char *name;
  int fd; /* the answer: a descriptor, or a negative code */
  uv_sem_t is_answered;
} dial_request;

static void fail(const rstream_error *error) {
  fprintf(stderr, "%s: %s\n", rstream_error_name(error), rstream_error_message(error));
  exit(1);
}

static void loop_thread(void *data) {
  rstream_config *config = NULL;
  rstream_error *error = NULL;
  (void)data;
  if (rstream_loop_new(&loop) != 0 || rstream_config_new(&config) != 0) exit(1);
  if (rstream_config_load(config, &error) != 0) fail(error);
  rstream_config_set(config, "zeroRtt", "false", NULL);
  if (rstream_client_new(loop, config, &client, &error) != 0) fail(error);
  rstream_config_free(config);
  /* A loop runs as long as there is something on it; this handle is there while nothing else is. */
  uv_async_init(rstream_loop_uv(loop), &keep_running, NULL);
  uv_sem_post(&is_ready);
  rstream_loop_run(loop);
  rstream_loop_close(loop, NULL, NULL);
}

/* On the loop's thread: */

static void on_dial(rstream_stream *stream, const rstream_error *error, void *data) {
  dial_request *request = data;
  if (error) {
    fprintf(stderr, "%s: %s\n", rstream_error_name(error), rstream_error_message(error));
    request->fd = rstream_error_code(error);
  } else {
    int status = rstream_stream_into_fd(stream, &request->fd);
    if (status != 0) {
      rstream_stream_close(stream, NULL, NULL);
      request->fd = status;
    }
  }
  uv_sem_post(&request->is_answered);
}

static void start_dial(void *data) {
  dial_request *request = data;
  int status = rstream_client_dial(client, request->name, on_dial, request);
  if (status != 0) {
    request->fd = status;
    uv_sem_post(&request->is_answered);
  }
}

static void stop_loop(void *data) {
  (void)data;
  uv_close((uv_handle_t *)&keep_running, NULL);
}

/* On curl's thread: */

/* Dials and waits. Returns a descriptor or a negative code. */
static int dial(const char *name) {
  dial_request request = {.name = name, .fd = -1};
  uv_sem_init(&request.is_answered, 0);
  if (rstream_loop_post(loop, start_dial, &request) == 0) uv_sem_wait(&request.is_answered);
  uv_sem_destroy(&request.is_answered);
  return request.fd;
}

static curl_socket_t open_socket(void *name, curlsocktype purpose, struct curl_sockaddr *address) {
  (void)purpose, (void)address;
  int fd = dial(name);
  return fd >= 0 ? fd : CURL_SOCKET_BAD;
}

static int is_connected(void *data, curl_socket_t socket, curlsocktype purpose) {
  (void)data, (void)socket, (void)purpose;
  return CURL_SOCKOPT_ALREADY_CONNECTED;
}

/*
 * libcurl 7.88, the one of Debian 12, connects a socket even when it is told that it is connected. It gets a UDP socket,
 * for which that is nothing but a note, and the stream takes that one's place just before the request.
 */

static curl_socket_t placeholder = CURL_SOCKET_BAD;

static curl_socket_t open_placeholder(void *name, curlsocktype purpose, struct curl_sockaddr *address) {
  (void)name, (void)purpose;
  return placeholder = socket(address->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int replace_placeholder(void *name, char *remote, char *local, int remote_port, int local_port) {
  (void)remote, (void)local, (void)remote_port, (void)local_port;
  int fd = dial(name);
  if (fd < 0) return CURL_PREREQFUNC_ABORT;
  int is_replaced = dup3(fd, placeholder, O_CLOEXEC) >= 0;
  close(fd);
  return is_replaced ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

static void use_tunnel(CURL *curl, char *name) {
  unsigned version = curl_version_info(CURLVERSION_NOW)->version_num;
  if (version == 0x075800 || version == 0x075801) {
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_placeholder);
    curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, replace_placeholder);
    curl_easy_setopt(curl, CURLOPT_PREREQDATA, name);
  } else {
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, name);
    curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, is_connected);
  }
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: %s TUNNEL [PATH]\n", argv[0]);
    return 2;
  }
  uv_sem_init(&is_ready, 0);
  uv_thread_create(&thread, loop_thread, NULL);
  uv_sem_wait(&is_ready);

  char url[1024];
  snprintf(url, sizeof url, "http://127.0.0.1%s", argc > 2 ? argv[2] : "/");
  curl_global_init(CURL_GLOBAL_DEFAULT);
  CURL *curl = curl_easy_init();
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
  /* The address in the URL is looked up and then not used. */
  use_tunnel(curl, argv[1]);
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  CURLcode result = curl_easy_perform(curl);
  if (result != CURLE_OK) fprintf(stderr, "%s\n", curl_easy_strerror(result));
  curl_easy_cleanup(curl);
  curl_global_cleanup();

  rstream_loop_post(loop, stop_loop, NULL);
  uv_thread_join(&thread);
  uv_sem_destroy(&is_ready);
  return result == CURLE_OK ? 0 : 1;
}
