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

/* Where a DTLS connection reads from and writes to: one datagram at a time is lent to be read, each datagram that is
 * written is handed out at once. */
typedef struct rstream_dtls_io {
  const uint8_t *input; /* NULL when there is none */
  size_t input_length;
  void (*output)(void *owner, const uint8_t *bytes, size_t count);
  void *owner;
  /* What the cookie of a server stands for: the client's address. */
  uint8_t peer[32];
  size_t peer_length;
  long mtu;
} rstream_dtls_io;

/* A DTLS connection over `io`, which must outlive it. NULL when memory is short. */
SSL *rstream_dtls_new(SSL_CTX *context, rstream_dtls_io *io);

/* Chooses what a client that has shown its cookie is served with, by the name it asks for (NULL when it names none) and
 * whether it offers protocols. NULL refuses it with `alert`. `owner` is that of rstream_tls_set_owner. */
typedef SSL_CTX *(*rstream_dtls_select)(void *owner, const char *name, size_t length, int offers_protocols, int *alert);

typedef struct rstream_dtls_selector {
  rstream_dtls_select select;
} rstream_dtls_selector;

/* Makes a context one that answers new clients with cookies and then chooses. `selector` must outlive it. */
void rstream_dtls_prepare_server(SSL_CTX *context, rstream_dtls_selector *selector);

/* Looks at a new client's datagram: 1 when it shows its cookie, 0 when it was told one or is nothing, negative when the
 * connection cannot be used any more. */
int rstream_dtls_listen(SSL *ssl);

/* Milliseconds until the last flight is to be sent again; -1 when nothing waits. */
long rstream_dtls_timeout(SSL *ssl);
int rstream_dtls_handle_timeout(SSL *ssl);

/* How many bytes a record is longer than its content, with the cipher that has been agreed on: explicit nonce and tag. The
 * most while there is none: what comes first is a longer message. */
size_t rstream_dtls_overhead(SSL *ssl);

/* A signature that a handshake waits for. It stays where it is until `state` is set and the handshake goes on. */
typedef struct rstream_signing {
  /* By TLS's names: "ecdsa_secp256r1_sha256". */
  const char *algorithm;
  const uint8_t *message;
  size_t message_length;
  uint8_t *signature;
  size_t capacity;
  size_t signature_length;
  /* 0: to come; 1: there; -1: none comes. */
  int state;
} rstream_signing;

/* Told that a signature is wanted; called on the handshake's own little stack. */
typedef void (*rstream_sign_begin)(void *owner, rstream_signing *signing);

/* The library context for connections whose private keys live elsewhere; NULL when OpenSSL cannot pause handshakes. */
OSSL_LIB_CTX *rstream_external_library(void);

/* A private key that lives elsewhere, by its public half. NULL for a kind that TLS does not sign with. */
EVP_PKEY *rstream_external_key_new(EVP_PKEY *public_key, rstream_sign_begin begin, void *owner);

/* Lets handshakes of a context wait for signatures, of these algorithms only (separated by colons). */
int rstream_tls_sign_elsewhere(SSL_CTX *context, const char *algorithms);

/* No more signatures are waited for on this connection. */
void rstream_tls_signed(SSL *ssl);

/* Whether a signature is right. `digest` is NULL for Ed25519. */
int rstream_verify(EVP_PKEY *key, const char *digest, int uses_pss, const uint8_t *signature, size_t signature_length,
                   const uint8_t *message, size_t message_length);

/* How a handshake that offered an encrypted ClientHello has ended. */
typedef enum rstream_ech_outcome {
  RSTREAM_ECH_ACCEPTED,
  /* By a server that has proven the public name, where certificates are verified at all. */
  RSTREAM_ECH_REJECTED,
  RSTREAM_ECH_FAILED
} rstream_ech_outcome;

/* Whether this OpenSSL can encrypt a ClientHello. */
int rstream_ech_is_available(void);

/* Encrypts the ClientHello with one of the configurations of an ECHConfigList; TLS 1.3 is spoken then or nothing. Returns
 * 0 when OpenSSL cannot use the list. */
int rstream_ech_offer(SSL *ssl, const uint8_t *list, size_t count);

/* To be asked when the handshake has ended in any way. */
rstream_ech_outcome rstream_ech_get_outcome(SSL *ssl);

/* The ECHConfigList that a server has sent which could not use the one offered; NULL when it has sent none. */
uint8_t *rstream_ech_retry_list(SSL *ssl, size_t *count);
void rstream_ech_free(uint8_t *list);

/* Whether a certificate's time has begun and not ended. */
int rstream_certificate_is_valid_now(const X509 *certificate);

/* Takes the oldest error off the thread's queue and empties it; 0 when there is none. */
unsigned long rstream_tls_take_error(void);
/* "certificate verify failed" for a code of rstream_tls_take_error; NULL when unknown. Static storage. */
const char *rstream_tls_error_reason(unsigned long code);

#endif
