/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into gtlsclient, which asks for "localhost" wherever it connects to an address. With this it asks for the name
 * that RSTREAM_SNI has, and is itself otherwise.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int gnutls_server_name_set(void *session, int type, const void *name, size_t size) {
  int (*next)(void *, int, const void *, size_t) = dlsym(RTLD_NEXT, "gnutls_server_name_set");
  const char *wanted = getenv("RSTREAM_SNI");
  return wanted ? next(session, type, wanted, strlen(wanted)) : next(session, type, name, size);
}
