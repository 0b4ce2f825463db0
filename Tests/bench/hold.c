/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holds idle connections, each proven by one echoed byte. Then does what standard input says, a line at a time, and
 * answers each with one line:
 *   alive    how many have neither ended nor received anything
 *   use N    sends a byte on N of them at once and counts the echoes
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

/* An agent of the rstream protocol opens at most 64 streams at once: more would only wait in its queue. */
enum { EVENTS = 256, OPENING_AT_ONCE = 48, PATIENCE_MS = 30000 };

enum state { CONNECTING, ECHOING, IDLE, LOST };

struct held {
  int fd;
  enum state state;
};

static int poller;

static void watch(struct held *held, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = held};
  if (epoll_ctl(poller, operation, held->fd, &event) != 0) bench_fail("hold: epoll_ctl");
}

static void lose(struct held *held) {
  close(held->fd);
  held->state = LOST;
}

static int send_byte(struct held *held) {
  const char byte = BENCH_ECHO;
  held->state = ECHOING;
  if (send(held->fd, &byte, 1, MSG_NOSIGNAL) != 1) lose(held);
  return held->state == ECHOING;
}

/* Moves a connection on. Returns 1 when it has become idle, or was lost on the way there. */
static int step(struct held *held) {
  char byte;
  enum state before = held->state;
  if (before == CONNECTING) {
    watch(held, EPOLL_CTL_MOD, EPOLLIN);
    return !send_byte(held);
  }
  ssize_t got = recv(held->fd, &byte, 1, 0);
  if (got < 0 && errno == EAGAIN) return 0;
  if (before == ECHOING && got == 1) {
    held->state = IDLE;
  } else {
    lose(held);
  }
  return before == ECHOING;
}

/* Waits for events once and returns how many connections have become idle or were lost; -1 when nothing came in time.
 */
static int settle(void) {
  struct epoll_event events[EVENTS];
  int settled = 0;
  int n = epoll_wait(poller, events, EVENTS, PATIENCE_MS);
  if (n < 0 && errno != EINTR) bench_fail("hold: epoll_wait");
  if (n == 0) return -1;
  for (int i = 0; i < n; i++) settled += step(events[i].data.ptr);
  return settled;
}

static int count_idle(const struct held *all, int count) {
  int idle = 0;
  for (int i = 0; i < count; i++) idle += all[i].state == IDLE;
  return idle;
}

static void open_all(struct held *all, int count, int port) {
  int opened = 0, opening = 0;
  double begun = bench_now();
  while (opened < count || opening > 0) {
    for (; opened < count && opening < OPENING_AT_ONCE; opened++, opening++) {
      all[opened].fd = bench_connect_start(port);
      watch(&all[opened], EPOLL_CTL_ADD, EPOLLOUT);
    }
    int settled = settle();
    if (settled < 0) break;
    opening -= settled;
  }
  printf("{\"asked\": %d, \"held\": %d, \"seconds\": %.3f}\n", count, count_idle(all, count), bench_now() - begun);
}

/* Uses `wanted` connections, spread evenly over all. */
static void use(struct held *all, int count, int wanted) {
  int waiting = 0, answered = 0;
  double begun = bench_now();
  for (int i = 0; i < wanted; i++) {
    struct held *held = &all[(long)i * count / wanted];
    if (held->state == IDLE) waiting += send_byte(held);
  }
  while (waiting > 0) {
    int settled = settle();
    if (settled < 0) break;
    waiting -= settled;
  }
  for (int i = 0; i < wanted; i++) answered += all[(long)i * count / wanted].state == IDLE;
  printf("{\"used\": %d, \"answered\": %d, \"seconds\": %.3f}\n", wanted, answered, bench_now() - begun);
}

static void tell_alive(struct held *all, int count) {
  int alive = 0;
  for (int i = 0; i < count; i++) {
    struct pollfd wanted = {.fd = all[i].fd, .events = POLLIN};
    alive += all[i].state == IDLE && poll(&wanted, 1, 0) == 0;
  }
  printf("{\"alive\": %d}\n", alive);
}

int bench_hold(int port, int count) {
  poller = epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0) bench_fail("hold: epoll_create1");
  struct held *all = calloc((size_t)count, sizeof *all);
  if (all == NULL) bench_fail("hold: calloc");
  open_all(all, count, port);
  for (;;) {
    char line[64];
    int wanted;
    fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL) break;
    if (strcmp(line, "alive\n") == 0) {
      tell_alive(all, count);
    } else if (sscanf(line, "use %d", &wanted) == 1 && wanted > 0 && wanted <= count) {
      use(all, count, wanted);
    } else {
      fprintf(stderr, "hold: unknown command: %s", line);
      return 2;
    }
  }
  return 0;
}
