/* SPDX-License-Identifier: Apache-2.0 */
/* What the two forms of the dial command share. */
#ifndef RSTREAMCTL_DIAL_H
#define RSTREAMCTL_DIAL_H

#include <rstream.h>
#include <stdbool.h>

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

/* Dials once, for standard input and output. Returns the code to exit with. */
int dial_standard(dial_values *values);

#endif
