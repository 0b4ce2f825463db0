/* SPDX-License-Identifier: Apache-2.0 */
/* nghttp3, and what Swift cannot import of it. */
#ifndef CHTTP3_H
#define CHTTP3_H

#include <nghttp3/nghttp3.h>

/* A client's connection that offers HTTP datagrams where the library knows of them (RFC 9297). */
int rstream_http3_client_new(nghttp3_conn **connection, const nghttp3_callbacks *callbacks, void *data);

#endif
