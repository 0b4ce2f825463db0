/* SPDX-License-Identifier: Apache-2.0 */
#include "COpenSSL.h"

#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>
#include <time.h>

/* A datagram is read whole: what does not fit is cut off, as a socket does. */
static int io_read(BIO *bio, char *bytes, int wanted) {
  rstream_dtls_io *io = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (wanted <= 0) return 0;
  if (!io->input) {
    BIO_set_retry_read(bio);
    return -1;
  }
  size_t count = io->input_length < (size_t)wanted ? io->input_length : (size_t)wanted;
  memcpy(bytes, io->input, count);
  io->input = NULL;
  io->input_length = 0;
  return (int)count;
}

static int io_write(BIO *bio, const char *bytes, int count) {
  const rstream_dtls_io *io = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (count > 0 && io->output) io->output(io->owner, (const uint8_t *)bytes, (size_t)count);
  return count;
}

static long io_ctrl(BIO *bio, int command, long number, void *pointer) {
  (void)number, (void)pointer;
  const rstream_dtls_io *io = BIO_get_data(bio);
  switch (command) {
    case BIO_CTRL_FLUSH:
      return 1;
    case BIO_CTRL_DGRAM_QUERY_MTU:
    case BIO_CTRL_DGRAM_GET_MTU:
    case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
      return io->mtu;
    default:
      return 0;
  }
}

static BIO_METHOD *io_method;
static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
static unsigned char cookie_secret[32];

static void prepare(void) {
  BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rstream datagrams");
  if (!method || RAND_bytes(cookie_secret, sizeof cookie_secret) != 1) return;
  BIO_meth_set_read(method, io_read);
  BIO_meth_set_write(method, io_write);
  BIO_meth_set_ctrl(method, io_ctrl);
  io_method = method;
}

SSL *rstream_dtls_new(SSL_CTX *context, rstream_dtls_io *io) {
  if (!CRYPTO_THREAD_run_once(&once, prepare) || !io_method) return NULL;
  SSL *ssl = SSL_new(context);
  BIO *bio = ssl ? BIO_new(io_method) : NULL;
  if (!bio) {
    SSL_free(ssl);
    return NULL;
  }
  BIO_set_data(bio, io);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  SSL_set_options(ssl, SSL_OP_NO_QUERY_MTU);
  SSL_set_mtu(ssl, io->mtu);
  return ssl;
}

/* For so many seconds, and as many more, a cookie is good: one that somebody has overheard is not for ever. */
#define COOKIE_PERIOD 60

static uint64_t cookie_period(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec / COOKIE_PERIOD;
}

/* The cookie of an address: nobody but this process can make it, and nothing has to be kept for it. */
static int cookie_of(SSL *ssl, uint64_t period, unsigned char *cookie, unsigned *length) {
  const rstream_dtls_io *io = BIO_get_data(SSL_get_rbio(ssl));
  unsigned char message[sizeof period + sizeof io->peer];
  if (io->peer_length > sizeof io->peer) return 0;
  memcpy(message, &period, sizeof period);
  memcpy(message + sizeof period, io->peer, io->peer_length);
  return HMAC(EVP_sha256(), cookie_secret, sizeof cookie_secret, message, sizeof period + io->peer_length, cookie,
              length) != NULL;
}

static int make_cookie(SSL *ssl, unsigned char *cookie, unsigned *length) {
  return cookie_of(ssl, cookie_period(), cookie, length);
}

static int check_cookie(SSL *ssl, const unsigned char *cookie, unsigned length) {
  unsigned char expected[EVP_MAX_MD_SIZE];
  unsigned expected_length = 0;
  uint64_t now = cookie_period();
  for (uint64_t period = now; period + 2 > now; period--) {
    if (cookie_of(ssl, period, expected, &expected_length) && length == expected_length &&
        CRYPTO_memcmp(cookie, expected, length) == 0) {
      return 1;
    }
    if (period == 0) break;
  }
  return 0;
}

/* The first name of a server_name extension (RFC 6066). */
static const unsigned char *server_name(SSL *ssl, size_t *length) {
  const unsigned char *bytes = NULL;
  size_t count = 0;
  if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &count) || count < 5) return NULL;
  size_t list = (size_t)bytes[0] << 8 | bytes[1], name = (size_t)bytes[3] << 8 | bytes[4];
  if (list + 2 != count || bytes[2] != TLSEXT_NAMETYPE_host_name || name + 5 > count || name == 0) return NULL;
  *length = name;
  return bytes + 5;
}

static int on_hello(SSL *ssl, int *alert, void *data) {
  rstream_dtls_select select = ((rstream_dtls_selector *)data)->select;
  const unsigned char *offer = NULL;
  size_t name_length = 0, offer_length = 0;
  const unsigned char *name = server_name(ssl, &name_length);
  int offers =
      SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &offer, &offer_length);
  *alert = SSL_AD_UNRECOGNIZED_NAME;
  SSL_CTX *context = select(SSL_get_app_data(ssl), (const char *)name, name_length, offers, alert);
  if (!context || !SSL_set_SSL_CTX(ssl, context)) return SSL_CLIENT_HELLO_ERROR;
  /* The cookie is looked at once more, with what the new context says. */
  SSL_CTX_set_cookie_verify_cb(context, check_cookie);
  return SSL_CLIENT_HELLO_SUCCESS;
}

void rstream_dtls_prepare_server(SSL_CTX *context, rstream_dtls_selector *selector) {
  SSL_CTX_set_cookie_generate_cb(context, make_cookie);
  SSL_CTX_set_cookie_verify_cb(context, check_cookie);
  SSL_CTX_set_client_hello_cb(context, on_hello, selector);
}

int rstream_dtls_listen(SSL *ssl) {
  BIO_ADDR *address = BIO_ADDR_new();
  if (!address) return -1;
  int status = DTLSv1_listen(ssl, address);
  BIO_ADDR_free(address);
  return status;
}

long rstream_dtls_timeout(SSL *ssl) {
  struct timeval left;
  if (!DTLSv1_get_timeout(ssl, &left)) return -1;
  return (long)left.tv_sec * 1000 + left.tv_usec / 1000;
}

int rstream_dtls_handle_timeout(SSL *ssl) {
  return (int)DTLSv1_handle_timeout(ssl);
}

size_t rstream_dtls_overhead(SSL *ssl) {
  const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
  if (!cipher) cipher = SSL_get_pending_cipher(ssl);
  switch (cipher ? SSL_CIPHER_get_cipher_nid(cipher) : NID_aes_128_gcm) {
    case NID_aes_128_gcm:
    case NID_aes_256_gcm:
      return 8 + 16;
    case NID_aes_128_ccm:
    case NID_aes_256_ccm:
      /* The suites with half a tag (RFC 6655) have the same cipher. */
      return strstr(SSL_CIPHER_get_name(cipher), "CCM8") ? 8 + 8 : 8 + 16;
    default:
      return 16;
  }
}
