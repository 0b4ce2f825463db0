/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLDNS_H
#define CLDNS_H

#include <ldns/ldns.h>

/* A flag of a reply; ldns's own accessors are macros or take bool. */
int rstream_dns_is_reply(const ldns_pkt *packet);
int rstream_dns_is_truncated(const ldns_pkt *packet);
int rstream_dns_is_authenticated(const ldns_pkt *packet);

/* The name as text in lower case without the last dot, to be freed with free(); NULL when memory is short. */
char *rstream_dns_name(const ldns_rdf *name);

#endif
