/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local service behind every tunnel: HTTP/1.1, a sink, a source and an echo on one port (bench.h). One thread, one
 * epoll, as little work as possible, so that the tunnel is what gets measured. Prints the port and runs until its
 * standard input ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

enum { REQUEST_MAX = 1024, EVENTS = 256, SOURCE_WRITES = 4 };

struct connection {
  int fd;
  char mode; /* 0 until the first byte; 'G' for HTTP */
  uint64_t received;
  uint64_t acknowledged;
  size_t request_len;
  char *request; /* the part of a request that has arrived; HTTP only */
};

static const char keep_alive_response[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n"
    "Hello, world\n";
static const char close_response[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\nConnection: close\r\n\r\n"
    "Hello, world\n";

static int poller;
static char chunk[BENCH_CHUNK];

static void end(struct connection *connection) {
  close(connection->fd);
  free(connection->request);
  free(connection);
}

/* Answers every complete request in the buffer. Returns 0 when the connection is to be closed. */
static int answer_requests(struct connection *connection) {
  char *from = connection->request;
  size_t left = connection->request_len;
  for (;;) {
    char *stop = memmem(from, left, "\r\n\r\n", 4);
    if (stop == NULL) break;
    size_t length = (size_t)(stop - from) + 4;
    int closing = memmem(from, length, "\r\nConnection: close", 19) != NULL;
    const char *response = closing ? close_response : keep_alive_response;
    size_t size = closing ? sizeof close_response - 1 : sizeof keep_alive_response - 1;
    if (send(connection->fd, response, size, MSG_NOSIGNAL) != (ssize_t)size || closing) return 0;
    from += length;
    left -= length;
  }
  memmove(connection->request, from, left);
  connection->request_len = left;
  return left < REQUEST_MAX;
}

static int take_request_bytes(struct connection *connection, const char *bytes, size_t size) {
  if (connection->request == NULL) connection->request = malloc(REQUEST_MAX);
  if (connection->request == NULL || size > REQUEST_MAX - connection->request_len) return 0;
  memcpy(connection->request + connection->request_len, bytes, size);
  connection->request_len += size;
  return answer_requests(connection);
}

static int take_upload(struct connection *connection, size_t size) {
  connection->received += size;
  if (connection->received - connection->acknowledged < BENCH_ACK_EVERY) return 1;
  connection->acknowledged = connection->received;
  uint64_t report = htole64(connection->received);
  ssize_t sent = send(connection->fd, &report, sizeof report, MSG_NOSIGNAL);
  return sent == (ssize_t)sizeof report || (sent < 0 && errno == EAGAIN);
}

/* Writes back what came. The echo is for single bytes: a peer that does not read them is cut. */
static int echo(struct connection *connection, size_t size) {
  return send(connection->fd, chunk, size, MSG_NOSIGNAL) == (ssize_t)size;
}

static int fill(struct connection *connection) {
  for (int i = 0; i < SOURCE_WRITES; i++) {
    if (send(connection->fd, chunk, sizeof chunk, MSG_NOSIGNAL) < 0) return errno == EAGAIN;
  }
  return 1;
}

static int begin(struct connection *connection) {
  connection->mode = chunk[0];
  if (connection->mode != BENCH_DOWNLOAD) return 1;
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = connection};
  return epoll_ctl(poller, EPOLL_CTL_MOD, connection->fd, &event) == 0;
}

static int take(struct connection *connection) {
  size_t want = connection->mode == 'G' || connection->mode == 0 ? (size_t)REQUEST_MAX : sizeof chunk;
  ssize_t got = recv(connection->fd, chunk, want, 0);
  if (got < 0) return errno == EAGAIN;
  if (got == 0) return 0;
  if (connection->mode == 0 && !begin(connection)) return 0;
  switch (connection->mode) {
    case BENCH_UPLOAD:
      return take_upload(connection, (size_t)got);
    case BENCH_ECHO:
      return echo(connection, (size_t)got);
    case BENCH_DOWNLOAD:
      return 1;
    case 'G':
      return take_request_bytes(connection, chunk, (size_t)got);
    default:
      return 0;
  }
}

static void accept_all(int listener) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) bench_fail("calloc");
    connection->fd = fd;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0) bench_fail("epoll_ctl");
  }
}

static void serve(struct connection *connection, uint32_t events) {
  int goes_on = 1;
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) goes_on = take(connection);
  if (goes_on && (events & EPOLLOUT)) goes_on = fill(connection);
  if (!goes_on) end(connection);
}

int main(void) {
  int port, listener_tag, input_tag;
  bench_raise_descriptors();
  int listener = bench_listen(&port);
  poller = epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0) bench_fail("epoll_create1");
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listener_tag};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) != 0) bench_fail("epoll_ctl(listener)");
  event.data.ptr = &input_tag;
  if (epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &event) != 0) bench_fail("epoll_ctl(standard input)");
  printf("%d\n", port);
  fflush(stdout);
  for (;;) {
    struct epoll_event events[EVENTS];
    int n = epoll_wait(poller, events, EVENTS, -1);
    if (n < 0 && errno != EINTR) bench_fail("epoll_wait");
    for (int i = 0; i < n; i++) {
      if (events[i].data.ptr == &input_tag) return 0;
      if (events[i].data.ptr == &listener_tag) {
        accept_all(listener);
      } else {
        serve(events[i].data.ptr, events[i].events);
      }
    }
  }
}
