/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into gtlsclient, which speaks HTTP/3 and nothing else. With this it offers the protocol that RSTREAM_ALPN
 * names, opens none of HTTP/3's streams of one direction, which other protocols do not have, and instead of a request
 * opens a stream and takes it back.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  unsigned char *data;
  unsigned int size;
} datum;

int gnutls_alpn_set_protocols(void *session, const datum *protocols, unsigned count, unsigned flags) {
  int (*next)(void *, const datum *, unsigned, unsigned) = dlsym(RTLD_NEXT, "gnutls_alpn_set_protocols");
  char *name = getenv("RSTREAM_ALPN");
  datum wanted = {(unsigned char *)name, name ? (unsigned)strlen(name) : 0};
  return name ? next(session, &wanted, 1, flags) : next(session, protocols, count, flags);
}

uint64_t ngtcp2_conn_get_max_local_streams_uni(void *connection) {
  (void)connection;
  return 3;
}

int ngtcp2_conn_open_uni_stream(void *connection, int64_t *id, void *data) {
  (void)connection, (void)data;
  static int64_t next = 2;
  *id = next;
  next += 4;
  return 0;
}

int nghttp3_conn_bind_control_stream(void *connection, int64_t id) {
  (void)connection, (void)id;
  return 0;
}

int nghttp3_conn_bind_qpack_streams(void *connection, int64_t encoder, int64_t decoder) {
  (void)connection, (void)encoder, (void)decoder;
  return 0;
}

int ngtcp2_conn_open_bidi_stream(void *connection, int64_t *id, void *data) {
  int (*next)(void *, int64_t *, void *) = dlsym(RTLD_NEXT, "ngtcp2_conn_open_bidi_stream");
  int (*end)(void *, int64_t, uint64_t) = dlsym(RTLD_NEXT, "ngtcp2_conn_shutdown_stream");
  int status = next(connection, id, data);
  return status ? status : end(connection, *id, 0);
}

int nghttp3_conn_submit_request(void *connection, int64_t id, const void *fields, size_t count, const void *reader,
                                void *data) {
  (void)connection, (void)id, (void)fields, (void)count, (void)reader, (void)data;
  return 0;
}
