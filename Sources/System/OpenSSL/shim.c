/* SPDX-License-Identifier: Apache-2.0 */
#include "COpenSSL.h"

#include <string.h>

static int io_read(BIO *bio, char *bytes, int wanted) {
  rstream_tls_io *io = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (wanted <= 0) return 0;
  if (io->input_length == 0) {
    if (io->input_ended) return 0;
    BIO_set_retry_read(bio);
    return -1;
  }
  size_t count = io->input_length < (size_t)wanted ? io->input_length : (size_t)wanted;
  memcpy(bytes, io->input, count);
  io->input += count;
  io->input_length -= count;
  return (int)count;
}

static int io_write(BIO *bio, const char *bytes, int count) {
  rstream_tls_io *io = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (count <= 0) return 0;
  if (io->output_capacity - io->output_length < (size_t)count) return -1;
  memcpy(io->output + io->output_length, bytes, (size_t)count);
  io->output_length += (size_t)count;
  return count;
}

static long io_ctrl(BIO *bio, int command, long number, void *pointer) {
  (void)number;
  (void)pointer;
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) {
    const rstream_tls_io *io = BIO_get_data(bio);
    return io->input_length == 0 && io->input_ended;
  }
  return 0;
}

static BIO_METHOD *io_method;
static CRYPTO_ONCE io_method_once = CRYPTO_ONCE_STATIC_INIT;

static void make_io_method(void) {
  BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rstream");
  if (!method) return;
  BIO_meth_set_read(method, io_read);
  BIO_meth_set_write(method, io_write);
  BIO_meth_set_ctrl(method, io_ctrl);
  io_method = method;
}

BIO *rstream_tls_bio_new(rstream_tls_io *io) {
  if (!CRYPTO_THREAD_run_once(&io_method_once, make_io_method) || !io_method) return NULL;
  BIO *bio = BIO_new(io_method);
  if (!bio) return NULL;
  BIO_set_data(bio, io);
  BIO_set_init(bio, 1);
  return bio;
}

void rstream_tls_set_host_name(SSL *ssl, const char *name) {
  SSL_set_tlsext_host_name(ssl, name);
}

int rstream_tls_set_min_version(SSL_CTX *context, int version) {
  return SSL_CTX_set_min_proto_version(context, version);
}

int rstream_tls_set_max_version(SSL_CTX *context, int version) {
  return SSL_CTX_set_max_proto_version(context, version);
}

void rstream_tls_set_defaults(SSL_CTX *context) {
  /* AES-128 first: it is the faster one, and its SHA-256 makes the key schedule of a handshake cheaper than SHA-384. */
  SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE);
}

void rstream_tls_disable_session_cache(SSL_CTX *context) {
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}

void rstream_tls_on_new_session(SSL_CTX *context, int (*store)(SSL *, SSL_SESSION *)) {
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, store);
}

int rstream_tls_set_owner(SSL *ssl, void *owner) {
  return SSL_set_app_data(ssl, owner);
}

void *rstream_tls_owner(const SSL *ssl) {
  return SSL_get_app_data(ssl);
}

int rstream_tls_add_chain_certificate(SSL_CTX *context, X509 *certificate) {
  return (int)SSL_CTX_add1_chain_cert(context, certificate);
}

int rstream_tls_set_groups(SSL_CTX *context, const char *groups) {
  return (int)SSL_CTX_set1_groups_list(context, groups);
}

int rstream_certificate_is_valid_now(const X509 *certificate) {
  int days = 0, seconds = 0;
  if (!ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(certificate), NULL) || days < 0 || seconds < 0) return 0;
  return ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)) && (days > 0 || seconds > 0);
}

unsigned long rstream_tls_take_error(void) {
  unsigned long code = ERR_get_error();
  ERR_clear_error();
  return code;
}

const char *rstream_tls_error_reason(unsigned long code) {
  return ERR_reason_error_string(code);
}
