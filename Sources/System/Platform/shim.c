/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "CPlatform.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

int rstream_stream_socket(int family) {
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  return fd < 0 ? -errno : fd;
}

int rstream_multipath_socket(int family) {
#ifndef IPPROTO_MPTCP
  enum { IPPROTO_MPTCP = 262 };
#endif
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_MPTCP);
  return fd < 0 ? -errno : fd;
}

int rstream_datagram_socket(int family) {
  int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  return fd < 0 ? -errno : fd;
}

int rstream_accept(int listener, void *address) {
  socklen_t length = sizeof(struct sockaddr_storage);
  int fd = accept4(listener, address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

int rstream_socket_pair(int pair[2]) {
  return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0 ? -errno : 0;
}

long rstream_send(int fd, const void *bytes, size_t count) {
  ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
  return sent < 0 ? -errno : sent;
}

long rstream_receive(int fd, void *bytes, size_t count) {
  ssize_t received = recv(fd, bytes, count, 0);
  return received < 0 ? -errno : received;
}

int rstream_open_read(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

int rstream_open_create(const char *path, unsigned mode) {
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, (mode_t)mode);
  return fd < 0 ? -errno : fd;
}

int rstream_open_lock(const char *path) {
  int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  return fd < 0 ? -errno : fd;
}

struct rstream_post_box {
  rstream_posted *_Atomic head;
};

rstream_post_box *rstream_post_box_new(void) {
  return calloc(1, sizeof(rstream_post_box));
}

int rstream_post_box_push(rstream_post_box *box, void (*call)(void *), void *data) {
  rstream_posted *posted = malloc(sizeof *posted);
  if (!posted) return -ENOMEM;
  posted->call = call;
  posted->data = data;
  posted->next = atomic_load_explicit(&box->head, memory_order_relaxed);
  while (!atomic_compare_exchange_weak_explicit(&box->head, &posted->next, posted, memory_order_release,
                                                memory_order_relaxed)) {
  }
  return 0;
}

rstream_posted *rstream_post_box_take(rstream_post_box *box) {
  rstream_posted *newest_first = atomic_exchange_explicit(&box->head, NULL, memory_order_acquire);
  rstream_posted *oldest_first = NULL;
  while (newest_first) {
    rstream_posted *next = newest_first->next;
    newest_first->next = oldest_first;
    oldest_first = newest_first;
    newest_first = next;
  }
  return oldest_first;
}
