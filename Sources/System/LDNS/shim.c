/* SPDX-License-Identifier: Apache-2.0 */
#include "CLDNS.h"

#include <ctype.h>
#include <string.h>

int rstream_dns_is_reply(const ldns_pkt *packet) {
  return ldns_pkt_qr(packet);
}

int rstream_dns_is_truncated(const ldns_pkt *packet) {
  return ldns_pkt_tc(packet);
}

int rstream_dns_is_authenticated(const ldns_pkt *packet) {
  return ldns_pkt_ad(packet);
}

char *rstream_dns_name(const ldns_rdf *name) {
  char *text = ldns_rdf2str(name);
  if (!text) return NULL;
  for (char *byte = text; *byte; byte++) *byte = (char)tolower((unsigned char)*byte);
  size_t length = strlen(text);
  if (length > 0 && text[length - 1] == '.') text[length - 1] = '\0';
  return text;
}
