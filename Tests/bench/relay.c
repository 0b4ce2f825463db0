/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP on a free port: an echo, or a plain relay to another port, which is what packets through a tunnel are held against.
 * Prints the port and runs until its standard input ends. The relay knows one consumer, the last that sent.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

static char packet[65536];

/* Passes on all that has arrived: back to the sender, or to `to` with the sender noted in `consumer`. */
static void pass(int from, int to, struct sockaddr_in *consumer, socklen_t *length) {
  for (;;) {
    struct sockaddr_in sender;
    socklen_t sender_length = sizeof sender;
    ssize_t size = recvfrom(from, packet, sizeof packet, MSG_DONTWAIT, (struct sockaddr *)&sender, &sender_length);
    if (size < 0) return;
    if (to < 0) {
      sendto(from, packet, (size_t)size, MSG_NOSIGNAL, (struct sockaddr *)&sender, sender_length);
    } else {
      *consumer = sender;
      *length = sender_length;
      send(to, packet, (size_t)size, MSG_NOSIGNAL);
    }
  }
}

static void pass_back(int from, int to, const struct sockaddr_in *consumer, socklen_t length) {
  ssize_t size;
  while ((size = recv(from, packet, sizeof packet, MSG_DONTWAIT)) >= 0) {
    sendto(to, packet, (size_t)size, MSG_NOSIGNAL, (const struct sockaddr *)consumer, length);
  }
}

int main(int argc, char **argv) {
  int port, target = argc > 1 ? atoi(argv[1]) : 0;
  int front = bench_bind_datagrams(&port);
  int back = target > 0 ? bench_connect_datagrams(target) : -1;
  struct sockaddr_in consumer = {0};
  socklen_t length = 0;
  printf("%d\n", port);
  fflush(stdout);
  struct pollfd ready[3] = {
      {.fd = STDIN_FILENO, .events = POLLIN}, {.fd = front, .events = POLLIN}, {.fd = back, .events = POLLIN}};
  for (;;) {
    if (poll(ready, back < 0 ? 2 : 3, -1) < 0 && errno != EINTR) bench_fail("poll");
    if (ready[0].revents != 0) return 0;
    if (ready[1].revents != 0) pass(front, back, &consumer, &length);
    if (back >= 0 && ready[2].revents != 0) pass_back(back, front, &consumer, length);
  }
}
