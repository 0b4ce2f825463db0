/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets that go out and come back, a window of them at a time: how many a second, and how many never came.
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

enum {
  PACKET = 1200,    /* bytes: what passes every path without fragments */
  WINDOW = 32,      /* packets under way: below every queue on the way */
  PATIENCE_MS = 200 /* of silence until what is under way counts as lost */
};

struct packets {
  int fd;
  uint64_t sent;
  uint64_t answered;
  uint64_t lost;
  uint64_t under_way;
  uint64_t round; /* after a loss, answers to earlier packets do not count any more */
};

static void send_one(struct packets *packets) {
  char packet[PACKET] = {0};
  memcpy(packet, &packets->round, sizeof packets->round);
  packets->sent++;
  packets->under_way++;
  /* A packet that the socket does not take is lost like one on the way. */
  if (send(packets->fd, packet, sizeof packet, MSG_NOSIGNAL) < 0 && errno != ENOBUFS && errno != EAGAIN &&
      errno != ECONNREFUSED) {
    bench_fail("packets: send");
  }
}

static void receive(struct packets *packets) {
  char packet[PACKET + 1];
  struct pollfd ready = {.fd = packets->fd, .events = POLLIN};
  int n = poll(&ready, 1, PATIENCE_MS);
  if (n < 0) bench_fail("packets: poll");
  if (n == 0) {
    packets->lost += packets->under_way;
    packets->under_way = 0;
    packets->round++;
    return;
  }
  ssize_t size;
  while ((size = recv(packets->fd, packet, sizeof packet, MSG_DONTWAIT)) >= 0) {
    uint64_t round;
    if (size != PACKET) continue;
    memcpy(&round, packet, sizeof round);
    if (round != packets->round || packets->under_way == 0) continue;
    packets->answered++;
    packets->under_way--;
  }
  if (errno != EAGAIN && errno != ECONNREFUSED) bench_fail("packets: recv");
}

int bench_packets(int port, double seconds) {
  struct packets packets = {.fd = bench_connect_datagrams(port)};
  double begun = bench_now(), end = begun + seconds;
  while (bench_now() < end) {
    while (packets.under_way < WINDOW) send_one(&packets);
    receive(&packets);
  }
  double took = bench_now() - begun;
  close(packets.fd);
  printf("{\"sent\": %llu, \"answered\": %llu, \"lost\": %llu, \"per_second\": %.1f}\n",
         (unsigned long long)packets.sent, (unsigned long long)packets.answered, (unsigned long long)packets.lost,
         (double)packets.answered / took);
  return 0;
}
