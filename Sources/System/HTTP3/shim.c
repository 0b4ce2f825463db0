/* SPDX-License-Identifier: Apache-2.0 */
#include "CHTTP3.h"

int rstream_http3_client_new(nghttp3_conn **connection, const nghttp3_callbacks *callbacks, void *data) {
  nghttp3_settings settings;
  nghttp3_settings_default(&settings);
  /* Nothing of one request helps the next where there is one request only. */
  settings.qpack_max_dtable_capacity = 0;
  settings.qpack_blocked_streams = 0;
#if NGHTTP3_VERSION_NUM >= 0x010000
  settings.h3_datagram = 1;
#endif
  return nghttp3_conn_client_new(connection, callbacks, &settings, nghttp3_mem_default(), data);
}
