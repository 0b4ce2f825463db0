/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 requests on a number of connections at once, for a time: kept alive, or one connection a request. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

enum { EVENTS = 128, RESPONSE_MAX = 512 };

static const char keep_alive_request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
static const char close_request[] = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
static const char body_end[] = "\r\n\r\nHello, world\n";

struct slot {
  int fd;
  int connected;
  size_t held;
  char response[RESPONSE_MAX];
};

static struct {
  int poller, port, keep_alive;
  uint64_t completed, failed;
} run;

static void watch(struct slot *slot, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = slot};
  if (epoll_ctl(run.poller, operation, slot->fd, &event) != 0) bench_fail("requests: epoll_ctl");
}

static void open_slot(struct slot *slot) {
  slot->fd = bench_connect_start(run.port);
  slot->connected = 0;
  slot->held = 0;
  watch(slot, EPOLL_CTL_ADD, EPOLLOUT);
}

static void reopen(struct slot *slot) {
  close(slot->fd);
  open_slot(slot);
}

static int send_request(const struct slot *slot) {
  const char *request = run.keep_alive ? keep_alive_request : close_request;
  size_t size = run.keep_alive ? sizeof keep_alive_request - 1 : sizeof close_request - 1;
  return send(slot->fd, request, size, MSG_NOSIGNAL) == (ssize_t)size;
}

static int is_complete(const struct slot *slot) {
  size_t size = sizeof body_end - 1;
  return slot->held >= size && memcmp(slot->response + slot->held - size, body_end, size) == 0;
}

/* Takes what has arrived. Returns 0 when the connection has to be replaced. */
static int take(struct slot *slot) {
  ssize_t got = recv(slot->fd, slot->response + slot->held, RESPONSE_MAX - slot->held, 0);
  if (got < 0 && errno == EAGAIN) return 1;
  if (got > 0) slot->held += (size_t)got;
  if (got > 0 && !run.keep_alive) return slot->held < RESPONSE_MAX;
  if (is_complete(slot)) {
    run.completed++;
    slot->held = 0;
    return got > 0 && send_request(slot);
  }
  if (got > 0 && slot->held < RESPONSE_MAX) return 1;
  run.failed++;
  return 0;
}

static void step(struct slot *slot) {
  if (!slot->connected) {
    if (!send_request(slot)) {
      run.failed++;
      reopen(slot);
      return;
    }
    slot->connected = 1;
    watch(slot, EPOLL_CTL_MOD, EPOLLIN);
  } else if (!take(slot)) {
    reopen(slot);
  }
}

static double run_for(double seconds) {
  double begun = bench_now(), now = begun;
  run.completed = 0;
  run.failed = 0;
  while (now - begun < seconds) {
    struct epoll_event events[EVENTS];
    int n = epoll_wait(run.poller, events, EVENTS, 1000);
    if (n < 0 && errno != EINTR) bench_fail("requests: epoll_wait");
    for (int i = 0; i < n; i++) step(events[i].data.ptr);
    now = bench_now();
  }
  return now - begun;
}

int bench_requests(int port, int connections, double seconds, int keep_alive) {
  run.poller = epoll_create1(EPOLL_CLOEXEC);
  if (run.poller < 0) bench_fail("requests: epoll_create1");
  run.port = port;
  run.keep_alive = keep_alive;
  struct slot *slots = calloc((size_t)connections, sizeof *slots);
  if (slots == NULL) bench_fail("requests: calloc");
  for (int i = 0; i < connections; i++) open_slot(&slots[i]);
  run_for(0.25);
  double took = run_for(seconds);
  printf("{\"completed\": %llu, \"failed\": %llu, \"seconds\": %.6f, \"per_second\": %.1f}\n",
         (unsigned long long)run.completed, (unsigned long long)run.failed, took, (double)run.completed / took);
  for (int i = 0; i < connections; i++) close(slots[i].fd);
  free(slots);
  return 0;
}
