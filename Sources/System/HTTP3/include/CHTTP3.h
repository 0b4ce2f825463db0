/* SPDX-License-Identifier: Apache-2.0 */
/* nghttp3, and what Swift cannot import of it. */
#ifndef CHTTP3_H
#define CHTTP3_H

#include <nghttp3/nghttp3.h>

/* One end of a connection.
   largest_section: of the header sections that are taken, as RFC 9114 4.2.2 counts.
   datagrams: whether HTTP datagrams are offered (RFC 9297); before 1.0 the library has no word for it. */
int rstream_http3_new(nghttp3_conn **connection, int is_server, size_t largest_section, int datagrams,
                      const nghttp3_callbacks *callbacks, void *data);

#endif
