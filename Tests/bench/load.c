/* SPDX-License-Identifier: Apache-2.0 */
/* The consumer's side of the benchmark: one measurement a call, its result as one line of JSON. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static int usage(void) {
  fputs(
      "usage: load upload|download|packets PORT SECONDS\n"
      "       load keep-alive|close PORT CONNECTIONS SECONDS\n"
      "       load latency PORT COUNT\n"
      "       load hold PORT COUNT\n",
      stderr);
  return 2;
}

int main(int argc, char **argv) {
  if (argc < 4) return usage();
  const char *what = argv[1];
  int port = atoi(argv[2]);
  int count = atoi(argv[3]);
  double seconds = atof(argv[argc - 1]);
  if (port < 1 || port > 65535 || count < 0 || seconds <= 0) return usage();
  signal(SIGPIPE, SIG_IGN);
  bench_raise_descriptors();
  if (strcmp(what, "upload") == 0) return bench_bulk_upload(port, seconds);
  if (strcmp(what, "download") == 0) return bench_bulk_download(port, seconds);
  if (strcmp(what, "packets") == 0) return bench_packets(port, seconds);
  if (count < 1) return usage();
  if (strcmp(what, "latency") == 0) return bench_latency(port, count);
  if (strcmp(what, "hold") == 0) return bench_hold(port, count);
  if (argc != 5) return usage();
  if (strcmp(what, "keep-alive") == 0) return bench_requests(port, count, seconds, 1);
  if (strcmp(what, "close") == 0) return bench_requests(port, count, seconds, 0);
  return usage();
}
