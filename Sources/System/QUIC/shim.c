/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "CQUIC.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>

static ngtcp2_conn *connection_of(ngtcp2_crypto_conn_ref *reference) {
  return ((rstream_quic_anchor *)reference)->connection;
}

void rstream_quic_anchor_set(gnutls_session_t session, rstream_quic_anchor *anchor) {
  anchor->reference.get_conn = connection_of;
  anchor->reference.user_data = anchor;
  gnutls_session_set_ptr(session, anchor);
}

uint64_t rstream_quic_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int rstream_quic_open_append(const char *path) {
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
  return fd < 0 ? -errno : fd;
}

const char *rstream_quic_environment(const char *name) {
  return secure_getenv(name);
}
