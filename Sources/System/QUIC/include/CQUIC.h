/* SPDX-License-Identifier: Apache-2.0 */
/* ngtcp2 with its GnuTLS helper, and what Swift cannot import of them. */
#ifndef CQUIC_H
#define CQUIC_H

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include "versions.h"

/* What a GnuTLS session points to: the helper finds the connection through it, our callbacks its owner. */
typedef struct rstream_quic_anchor {
  ngtcp2_crypto_conn_ref reference; /* first: the helper reads no further */
  ngtcp2_conn *connection;
  void *owner;
} rstream_quic_anchor;

/* Ties a session to a connection. `anchor` lives as long as the session. */
void rstream_quic_anchor_set(gnutls_session_t session, rstream_quic_anchor *anchor);

/* Gets what a packet holds, without its header. The bytes are borrowed for the call. */
typedef void (*rstream_quic_reader)(void *owner, const uint8_t *payload, size_t size);

/* Has packets that this thread decrypts told to a reader, or to nobody when `owner` is NULL. Returns the owner before. */
void *rstream_quic_read_by(void *owner, rstream_quic_reader reader);

/* ngtcp2_crypto_decrypt_cb(), which tells the reader. */
int rstream_quic_decrypt(uint8_t *payload, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *context,
                         const uint8_t *ciphertext, size_t size, const uint8_t *nonce, size_t nonce_size,
                         const uint8_t *header, size_t header_size);

/* Nanoseconds of the clock that ngtcp2 is given. */
uint64_t rstream_quic_now(void);

/* secure_getenv(), which Swift is not shown. */
const char *rstream_quic_environment(const char *name);

/* Opens a file to append to, readable by its owner only. Returns the descriptor or -errno. */
int rstream_quic_open_append(const char *path);

#endif
