/* SPDX-License-Identifier: Apache-2.0 */
/* What the two forms of the dial command share. */
#ifndef RSTREAMCTL_DIAL_H
#define RSTREAMCTL_DIAL_H

#include <rstream.h>
#include <stdbool.h>
#include <stdint.h>

#include "session.h"

typedef struct dial_values {
  session_t session; /* the first member: the session's callbacks find the rest by it */
  rstream_client *client;
  const char *target;
  const char *listen_address;
  bool udp;
  unsigned idle_seconds;
  bool json;
} dial_values;

/* Dials for each connection to a local port; runs until the session ends. Returns the code to exit with. */
int dial_listen(dial_values *values);

/* Dials for each peer of a local UDP port; runs until the session ends. Returns the code to exit with. */
int dial_udp(dial_values *values);

/* What a local port has carried for one of its peers. */
typedef struct dial_counts {
  uint64_t bytes_in, bytes_out;
  uint64_t dropped; /* packets */
} dial_counts;

/* Says that a local port listens. `address` may be NULL; `kind` follows it for people. */
void dial_say_listening(const dial_values *values, const struct sockaddr *address, const char *kind);

/* Says that a local port cannot listen, and ends the session. */
void dial_cannot_listen(dial_values *values, int status);

/* Say that a peer of a local port has come, and that it has gone; `error` may be NULL. */
void dial_say_opened(const dial_values *values, const char *peer);
void dial_say_closed(const dial_values *values, const char *peer, const dial_counts *counts, const char *error);

/* Dials once, for standard input and output. Returns the code to exit with. */
int dial_standard(dial_values *values);

#endif
