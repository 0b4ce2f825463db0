/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL, and functions for what it offers as macros only or through callbacks that Swift cannot express. */
#ifndef COPENSSL_H
#define COPENSSL_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

/* Where a TLS connection's BIO reads from and writes to: memory that the caller lends for the duration of one call. The
 * input is consumed in place; output that does not fit is an error, so the caller lends enough or writes less. */
typedef struct rstream_tls_io {
  const uint8_t *input;
  size_t input_length;
  uint8_t *output;
  size_t output_length;
  size_t output_capacity;
  int input_ended;
} rstream_tls_io;

/* A BIO over `io`, which must outlive it. NULL when memory is short. */
BIO *rstream_tls_bio_new(rstream_tls_io *io);

void rstream_tls_set_host_name(SSL *ssl, const char *name);
int rstream_tls_set_min_version(SSL_CTX *context, int version);
int rstream_tls_set_max_version(SSL_CTX *context, int version);

/* Options and modes every context gets: released buffers, no renegotiation, no compression, unexpected
 * end of file treated as an end (many peers never send close_notify). */
void rstream_tls_set_defaults(SSL_CTX *context);
void rstream_tls_disable_session_cache(SSL_CTX *context);

/* Trusts the certificate authorities of the system, which are read when they are needed. 0 when memory is short. */
int rstream_tls_trust_system(SSL_CTX *context);

/* Lets `store` see every session ticket a server sends. It returns 1 when it keeps the session (and its reference). */
void rstream_tls_on_new_session(SSL_CTX *context, int (*store)(SSL *, SSL_SESSION *));

/* An application pointer on a connection and on a context. */
int rstream_tls_set_owner(SSL *ssl, void *owner);
void *rstream_tls_owner(const SSL *ssl);

int rstream_tls_add_chain_certificate(SSL_CTX *context, X509 *certificate);
int rstream_tls_set_groups(SSL_CTX *context, const char *groups);

/* Takes the oldest error off the thread's queue and empties it; 0 when there is none. */
unsigned long rstream_tls_take_error(void);
/* "certificate verify failed" for a code of rstream_tls_take_error; NULL when unknown. Static storage. */
const char *rstream_tls_error_reason(unsigned long code);

#endif
