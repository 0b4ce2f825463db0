/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets and time for the programs of the benchmark. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "bench.h"

double bench_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

_Noreturn void bench_fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

void bench_raise_descriptors(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) bench_fail("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) bench_fail("setrlimit");
}

static struct sockaddr_in loopback(int port) {
  struct sockaddr_in address;
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_port = htons((uint16_t)port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

static int bind_free_port(int type, int *port) {
  int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
  if (fd < 0) bench_fail("socket");
  struct sockaddr_in address = loopback(0);
  socklen_t length = sizeof address;
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) bench_fail("bind");
  if (getsockname(fd, (struct sockaddr *)&address, &length) != 0) bench_fail("getsockname");
  *port = ntohs(address.sin_port);
  return fd;
}

int bench_listen(int *port) {
  int fd = bind_free_port(SOCK_STREAM | SOCK_NONBLOCK, port);
  if (listen(fd, 4096) != 0) bench_fail("listen");
  return fd;
}

int bench_bind_datagrams(int *port) {
  return bind_free_port(SOCK_DGRAM, port);
}

int bench_connect_datagrams(int port) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) bench_fail("socket");
  struct sockaddr_in address = loopback(port);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) bench_fail("connect");
  return fd;
}

static int open_socket(int flags) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  int on = 1;
  if (fd < 0) bench_fail("socket");
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) bench_fail("setsockopt(TCP_NODELAY)");
  return fd;
}

int bench_connect_start(int port) {
  int fd = open_socket(SOCK_NONBLOCK);
  struct sockaddr_in address = loopback(port);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS) bench_fail("connect");
  return fd;
}

int bench_connect(int port) {
  int fd = open_socket(0);
  struct sockaddr_in address = loopback(port);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) bench_fail("connect");
  return fd;
}

void bench_set_nonblocking(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) bench_fail("fcntl(O_NONBLOCK)");
}
