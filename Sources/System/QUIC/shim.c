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

/* ngtcp2 passes its callback nothing that would tell whose packet it is. */
static _Thread_local struct {
  void *owner;
  rstream_quic_reader read;
} reading;

void *rstream_quic_read_by(void *owner, rstream_quic_reader reader) {
  void *before = reading.owner;
  reading.owner = owner;
  reading.read = reader;
  return before;
}

int rstream_quic_decrypt(uint8_t *payload, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *context,
                         const uint8_t *ciphertext, size_t size, const uint8_t *nonce, size_t nonce_size,
                         const uint8_t *header, size_t header_size) {
  int status =
      ngtcp2_crypto_decrypt_cb(payload, aead, context, ciphertext, size, nonce, nonce_size, header, header_size);
  if (status == 0 && reading.owner && size >= aead->max_overhead)
    reading.read(reading.owner, payload, size - aead->max_overhead);
  return status;
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
