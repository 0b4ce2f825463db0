/* SPDX-License-Identifier: Apache-2.0 */
/* nghttp3, and what Swift cannot import of it. */
#ifndef CHTTP3_H
#define CHTTP3_H

#include <nghttp3/nghttp3.h>

/* One end of a connection, which offers HTTP datagrams where the library knows of them (RFC 9297).
   largest_section: of the header sections that are taken, as RFC 9114 4.2.2 counts. */
int rstream_http3_new(nghttp3_conn **connection, int is_server, size_t largest_section,
                      const nghttp3_callbacks *callbacks, void *data);

#endif
