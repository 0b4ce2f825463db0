/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encrypted ClientHello (RFC 9849). OpenSSL can do it from version 4.0 on; the functions are looked up in the process, so
 * that one build uses them where they are.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>

#include "COpenSSL.h"

typedef int (*set_list)(SSL *ssl, const uint8_t *list, size_t count);
typedef int (*get_status)(SSL *ssl, char **inner_name, char **outer_name);
typedef int (*get_retry)(SSL *ssl, unsigned char **list, size_t *count);

/* What SSL_ech_get1_status() returns, as far as it matters here. */
enum { STATUS_SUCCESS = 1, STATUS_BAD_NAME = -102, STATUS_FAILED_ECH = -105, STATUS_FAILED_ECH_BAD_NAME = -106 };

static set_list set1_ech_config_list;
static get_status ech_get1_status;
static get_retry ech_get1_retry_config;
static CRYPTO_ONCE functions_once = CRYPTO_ONCE_STATIC_INIT;

/* ISO C has no conversion from an object pointer to a function pointer; POSIX says that the bytes are the same. */
static void find(const char *name, void *function) {
  void *found = dlsym(RTLD_DEFAULT, name);
  memcpy(function, &found, sizeof found);
}

static void find_functions(void) {
  find("SSL_set1_ech_config_list", &set1_ech_config_list);
  find("SSL_ech_get1_status", &ech_get1_status);
  find("SSL_ech_get1_retry_config", &ech_get1_retry_config);
}

int rstream_ech_is_available(void) {
  return CRYPTO_THREAD_run_once(&functions_once, find_functions) && set1_ech_config_list && ech_get1_status &&
         ech_get1_retry_config;
}

int rstream_ech_offer(SSL *ssl, const uint8_t *list, size_t count) {
  if (!rstream_ech_is_available() || set1_ech_config_list(ssl, list, count) != 1) {
    ERR_clear_error();
    return 0;
  }
  return SSL_set_min_proto_version(ssl, TLS1_3_VERSION) == 1;
}

rstream_ech_outcome rstream_ech_get_outcome(SSL *ssl) {
  char *inner_name = NULL, *outer_name = NULL;
  int verifies = SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER;
  int status = rstream_ech_is_available() ? ech_get1_status(ssl, &inner_name, &outer_name) : 0;
  OPENSSL_free(inner_name);
  OPENSSL_free(outer_name);
  /* What OpenSSL says when the server has sent nothing to be asked with instead. */
  const char *reason = ERR_reason_error_string(ERR_peek_error());
  if (reason && strcmp(reason, "ech required") == 0) return RSTREAM_ECH_REJECTED;
  switch (status) {
    case STATUS_SUCCESS:
      return RSTREAM_ECH_ACCEPTED;
    case STATUS_BAD_NAME:
      return verifies ? RSTREAM_ECH_FAILED : RSTREAM_ECH_ACCEPTED;
    case STATUS_FAILED_ECH:
      return RSTREAM_ECH_REJECTED;
    case STATUS_FAILED_ECH_BAD_NAME:
      return verifies ? RSTREAM_ECH_FAILED : RSTREAM_ECH_REJECTED;
    default:
      return RSTREAM_ECH_FAILED;
  }
}

uint8_t *rstream_ech_retry_list(SSL *ssl, size_t *count) {
  uint8_t *list = NULL;
  *count = 0;
  if (!rstream_ech_is_available() || ech_get1_retry_config(ssl, &list, count) != 1 || !list) {
    ERR_clear_error();
    *count = 0;
  }
  return list;
}

void rstream_ech_free(uint8_t *list) {
  OPENSSL_free(list);
}
