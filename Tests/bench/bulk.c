/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bulk transfer on one connection, for a time. Counted is what has arrived at the far end: downloads by what is read
 * here, uploads by the service's progress reports. The first moments, in which windows grow, are left out.
 */
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

static const double warm_up = 0.25;
static const double patience = 10; /* seconds without any progress after which a measurement has failed */

static char chunk[BENCH_CHUNK];

struct progress {
  double begun, from, to;
  uint64_t from_bytes, to_bytes;
};

static void note(struct progress *progress, uint64_t bytes) {
  double now = bench_now();
  if (progress->from == 0) {
    if (now - progress->begun < warm_up) return;
    progress->from = now;
    progress->from_bytes = bytes;
  }
  progress->to = now;
  progress->to_bytes = bytes;
}

static int report(const struct progress *progress) {
  if (progress->to <= progress->from) {
    fprintf(stderr, "bulk: nothing was carried\n");
    return 1;
  }
  double seconds = progress->to - progress->from;
  double bytes = (double)(progress->to_bytes - progress->from_bytes);
  printf("{\"bytes\": %.0f, \"seconds\": %.6f, \"mbit_per_second\": %.1f}\n", bytes, seconds,
         bytes * 8 / seconds / 1e6);
  return 0;
}

/* A few writes a turn, so that a fast reader does not keep this from reading its reports. */
static void fill_socket(int fd) {
  for (int i = 0; i < 8; i++) {
    if (send(fd, chunk, sizeof chunk, MSG_NOSIGNAL) > 0) continue;
    if (errno != EAGAIN) bench_fail("bulk upload: send");
    return;
  }
}

/* Reads progress reports; the last complete one of a batch counts. */
static void read_reports(int fd, struct progress *progress) {
  static unsigned char pending[sizeof(uint64_t) * 64];
  static size_t held;
  ssize_t got = recv(fd, pending + held, sizeof pending - held, 0);
  if (got == 0) errno = ECONNRESET;
  if (got == 0 || (got < 0 && errno != EAGAIN)) bench_fail("bulk upload: recv");
  if (got < 0) return;
  held += (size_t)got;
  size_t whole = held / sizeof(uint64_t) * sizeof(uint64_t);
  if (whole == 0) return;
  uint64_t bytes;
  memcpy(&bytes, pending + whole - sizeof bytes, sizeof bytes);
  memmove(pending, pending + whole, held - whole);
  held -= whole;
  note(progress, le64toh(bytes));
}

int bench_bulk_upload(int port, double seconds) {
  int fd = bench_connect(port);
  bench_set_nonblocking(fd);
  memset(chunk, BENCH_UPLOAD, sizeof chunk);
  struct progress progress = {.begun = bench_now()};
  while (bench_now() - progress.begun < seconds + warm_up) {
    struct pollfd wanted = {.fd = fd, .events = POLLIN | POLLOUT};
    int ready = poll(&wanted, 1, (int)(patience * 1000));
    if (ready == 0) errno = ETIMEDOUT;
    if (ready <= 0) bench_fail("bulk upload: poll");
    if (wanted.revents & POLLOUT) fill_socket(fd);
    if (wanted.revents & (POLLIN | POLLHUP | POLLERR)) read_reports(fd, &progress);
  }
  close(fd);
  return report(&progress);
}

int bench_bulk_download(int port, double seconds) {
  int fd = bench_connect(port);
  const char mode = BENCH_DOWNLOAD;
  uint64_t bytes = 0;
  struct progress progress = {.begun = bench_now()};
  if (send(fd, &mode, 1, MSG_NOSIGNAL) != 1) bench_fail("bulk download: send");
  while (bench_now() - progress.begun < seconds + warm_up) {
    ssize_t got = recv(fd, chunk, sizeof chunk, 0);
    if (got == 0) errno = ECONNRESET;
    if (got <= 0) bench_fail("bulk download: recv");
    bytes += (uint64_t)got;
    note(&progress, bytes);
  }
  close(fd);
  return report(&progress);
}
