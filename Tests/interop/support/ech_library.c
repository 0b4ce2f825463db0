/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To be preloaded: the functions by which OpenSSL 4 encrypts a ClientHello, which here only write down what they are
 * given. ECH_OFFERS names the file, ECH_STATUSES has what each handshake is said to end with (the last goes on for all
 * others), ECH_RETRY is what the server is said to want, in hexadecimal digits.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int SSL_set1_ech_config_list(void *ssl, const uint8_t *list, size_t count);
int SSL_ech_get1_status(void *ssl, char **inner_name, char **outer_name);
int SSL_ech_get1_retry_config(void *ssl, unsigned char **list, size_t *count);

static int offers;

int SSL_set1_ech_config_list(void *ssl, const uint8_t *list, size_t count) {
  (void)ssl;
  FILE *file = fopen(getenv("ECH_OFFERS"), "a");
  if (!file) return 0;
  for (size_t i = 0; i < count; i++) fprintf(file, "%02x", list[i]);
  fputc('\n', file);
  fclose(file);
  offers++;
  return 1;
}

int SSL_ech_get1_status(void *ssl, char **inner_name, char **outer_name) {
  (void)ssl;
  *inner_name = NULL;
  *outer_name = NULL;
  const char *status = getenv("ECH_STATUSES");
  for (int i = 1; i < offers && strchr(status, ' '); i++) status = strchr(status, ' ') + 1;
  return atoi(status);
}

int SSL_ech_get1_retry_config(void *ssl, unsigned char **list, size_t *count) {
  (void)ssl;
  const char *text = getenv("ECH_RETRY");
  *count = text ? strlen(text) / 2 : 0;
  *list = text ? malloc(*count) : NULL;
  for (size_t i = 0; i < *count; i++) {
    unsigned byte = 0;
    sscanf(text + 2 * i, "%2x", &byte);
    (*list)[i] = (unsigned char)byte;
  }
  return text != NULL;
}
