/* SPDX-License-Identifier: Apache-2.0 */
#include "CHTTP3.h"

int rstream_http3_new(nghttp3_conn **connection, int is_server, size_t largest_section, int datagrams,
                      const nghttp3_callbacks *callbacks, void *data) {
  nghttp3_settings settings;
  int status;
  nghttp3_settings_default(&settings);
  /* What is sent here hardly repeats itself: the static table does. */
  settings.qpack_max_dtable_capacity = 0;
  settings.qpack_blocked_streams = 0;
  settings.max_field_section_size = largest_section;
#if NGHTTP3_VERSION_NUM >= 0x010000
  settings.h3_datagram = (uint8_t)(datagrams != 0);
#else
  (void)datagrams;
#endif
  if (!is_server) return nghttp3_conn_client_new(connection, callbacks, &settings, nghttp3_mem_default(), data);
  status = nghttp3_conn_server_new(connection, callbacks, &settings, nghttp3_mem_default(), data);
  /* How many there may be at once is QUIC's to say; nghttp3 wants to know which numbers are possible at all. */
  if (status == 0) nghttp3_conn_set_max_client_streams_bidi(*connection, (uint64_t)1 << 60);
  return status;
}
