/* SPDX-License-Identifier: Apache-2.0 */
/* Time from the start of connecting to the first echoed byte, one connection after the other. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

enum { WARM_UP = 50 };

static double first_byte(int port) {
  char byte = BENCH_ECHO;
  double begun = bench_now();
  int fd = bench_connect(port);
  if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1) bench_fail("latency: send");
  ssize_t got = recv(fd, &byte, 1, 0);
  double took = bench_now() - begun;
  if (got == 0) errno = ECONNRESET;
  if (got != 1) bench_fail("latency: recv");
  close(fd);
  return took;
}

static int by_time(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int bench_latency(int port, int count) {
  double *times = calloc((size_t)count, sizeof *times);
  if (times == NULL) bench_fail("latency: calloc");
  for (int i = 0; i < WARM_UP; i++) first_byte(port);
  for (int i = 0; i < count; i++) times[i] = first_byte(port);
  qsort(times, (size_t)count, sizeof *times, by_time);
  printf("{\"count\": %d, \"p50_us\": %.1f, \"p99_us\": %.1f}\n", count, times[count / 2] * 1e6,
         times[(size_t)count * 99 / 100] * 1e6);
  free(times);
  return 0;
}
