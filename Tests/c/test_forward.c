/* SPDX-License-Identifier: Apache-2.0 */
/* rstream_tunnel_forward to a TCP port, to a Unix socket and to nobody; rstream_stream_into_fd. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "check.h"
#include "world.h"

/* A service on a thread of its own: reads to the end, then answers "<count> bytes". */
struct service {
  int listener;
  pthread_t thread;
};

static void *serve(void *data) {
  struct service *service = data;
  for (;;) {
    int fd = accept(service->listener, NULL, NULL);
    if (fd < 0) return NULL;
    char buffer[4096];
    long total = 0;
    ssize_t count;
    while ((count = read(fd, buffer, sizeof buffer)) > 0) total += count;
    int len = snprintf(buffer, sizeof buffer, "%ld bytes", total);
    CHECK(write(fd, buffer, (size_t)len) == len);
    close(fd);
  }
}

static void service_begin(struct service *service, const struct sockaddr *address, socklen_t len) {
  service->listener = socket(address->sa_family, SOCK_STREAM, 0);
  CHECK(service->listener >= 0);
  CHECK_INT(bind(service->listener, address, len), 0);
  CHECK_INT(listen(service->listener, 16), 0);
  CHECK_INT(pthread_create(&service->thread, NULL, serve, service), 0);
}

static void service_end(struct service *service) {
  shutdown(service->listener, SHUT_RDWR);
  pthread_join(service->thread, NULL);
  close(service->listener);
}

struct events {
  int opened;
  int closed;
  int error;
  uint64_t in, out;
  char peer[64];
};

static void on_forward(rstream_tunnel *tunnel, int event, const char *peer, uint64_t in, uint64_t out,
                       const rstream_error *error, void *data) {
  (void)tunnel;
  struct events *events = data;
  if (event == RSTREAM_FORWARD_OPENED) {
    events->opened++;
    snprintf(events->peer, sizeof events->peer, "%s", peer);
  } else {
    events->closed++;
    events->error = rstream_error_code(error);
    events->in = in;
    events->out = out;
  }
}

static void ask(struct world *world, const char *expected) {
  rstream_stream *stream = world_dial(world, world->client, "echo");
  struct collector collector = {0};
  char question[1000] = {0};
  rstream_buf buf = {question, sizeof question};
  CHECK_INT(rstream_stream_read_start(stream, collect, &collector), 0);
  CHECK_INT(rstream_stream_write(stream, &buf, 1, NULL, NULL), 0);
  CHECK_INT(rstream_stream_shutdown(stream, NULL, NULL), 0);
  run_until(world->loop, &collector.ended);
  if (expected) {
    CHECK_INT(collector.failure, 0);
    CHECK_INT(collector.len, strlen(expected));
    CHECK(memcmp(collector.bytes, expected, collector.len) == 0);
  } else {
    CHECK_INT(collector.len, 0);
  }
  free(collector.bytes);
  CHECK_INT(rstream_stream_close(stream, NULL, NULL), 0);
}

/* Blocking code on a descriptor, while the loop runs here. */
struct blocking {
  int fd;
  bool done;
};

static void *use_descriptor(void *data) {
  struct blocking *blocking = data;
  static const char text[] = "through a descriptor";
  char answer[sizeof text] = {0};
  size_t received = 0;
  CHECK(write(blocking->fd, text, sizeof text) == sizeof text);
  CHECK_INT(shutdown(blocking->fd, SHUT_WR), 0);
  for (;;) {
    struct pollfd ready = {blocking->fd, POLLIN, 0};
    CHECK(poll(&ready, 1, 20000) == 1);
    ssize_t count = read(blocking->fd, answer + received, sizeof answer - received);
    if (count <= 0) break;
    received += (size_t)count;
  }
  CHECK_INT(received, sizeof text);
  CHECK_STR(answer, text);
  close(blocking->fd);
  __atomic_store_n(&blocking->done, true, __ATOMIC_SEQ_CST);
  return NULL;
}

static void into_fd(struct world *world) {
  CHECK_INT(rstream_tunnel_listen(world->tunnel, echo_stream, NULL), 0);
  rstream_stream *stream = world_dial(world, world->client, "echo");
  struct blocking blocking = {-1, false};
  CHECK_INT(rstream_stream_into_fd(stream, &blocking.fd), 0);
  CHECK(blocking.fd >= 0);
  pthread_t thread;
  CHECK_INT(pthread_create(&thread, NULL, use_descriptor, &blocking), 0);
  for (int i = 0; !__atomic_load_n(&blocking.done, __ATOMIC_SEQ_CST) && i < 6000; i++) run_idle(world->loop, 5);
  pthread_join(thread, NULL);
}

int main(void) {
  struct world world;
  world_begin(&world);
  world_open_tunnel(&world);
  struct service service;
  struct events events = {0};
  char target[128];

  struct sockaddr_in tcp = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  service_begin(&service, (struct sockaddr *)&tcp, sizeof tcp);
  socklen_t len = sizeof tcp;
  CHECK_INT(getsockname(service.listener, (struct sockaddr *)&tcp, &len), 0);
  snprintf(target, sizeof target, "127.0.0.1:%d", ntohs(tcp.sin_port));
  CHECK_INT(rstream_tunnel_forward(world.tunnel, target, on_forward, &events, NULL), 0);
  ask(&world, "1000 bytes");
  run_until_count(world.loop, &events.closed, 1);
  CHECK_INT(events.opened, 1);
  CHECK_INT(events.error, 0);
  CHECK_INT(events.in, 1000);
  CHECK_INT(events.out, 10);
  CHECK_STR(events.peer, "127.0.0.1");
  service_end(&service);

  /* Nobody listens there any more. */
  ask(&world, NULL);
  run_until_count(world.loop, &events.closed, 2);
  CHECK_INT(events.opened, 2);
  CHECK_INT(events.error, -ECONNREFUSED);
  CHECK_INT(events.in, 0);

  struct sockaddr_un local = {.sun_family = AF_UNIX};
  snprintf(local.sun_path, sizeof local.sun_path, "%s/service.sock", world.directory);
  service_begin(&service, (struct sockaddr *)&local, sizeof local);
  snprintf(target, sizeof target, "unix:%s", local.sun_path);
  CHECK_INT(rstream_tunnel_forward(world.tunnel, target, NULL, NULL, NULL), 0);
  ask(&world, "1000 bytes");
  service_end(&service);

  rstream_error *error = NULL;
  CHECK_INT(rstream_tunnel_forward(world.tunnel, "nowhere", NULL, NULL, &error), RSTREAM_EINVALID_LOCAL_ENDPOINT);
  CHECK(strstr(rstream_error_message(error), "nowhere") != NULL);
  rstream_error_free(error);

  into_fd(&world);
  world_end(&world);
  return 0;
}
