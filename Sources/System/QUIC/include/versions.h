/* SPDX-License-Identifier: Apache-2.0 */
/* What ngtcp2 0.12 and 1.x say in different words. */
#ifndef CQUIC_VERSIONS_H
#define CQUIC_VERSIONS_H

#include <ngtcp2/ngtcp2.h>

/* Why a connection is closed. */
#if NGTCP2_VERSION_NUM >= 0x010000
typedef ngtcp2_ccerr rstream_quic_reason;
#else
typedef ngtcp2_connection_close_error rstream_quic_reason;
#endif

/* An error of the library, an alert of TLS, a code of QUIC's or of the application. `words` are borrowed. */
void rstream_quic_reason_error(rstream_quic_reason *reason, int error);
void rstream_quic_reason_alert(rstream_quic_reason *reason, uint8_t alert);
void rstream_quic_reason_transport(rstream_quic_reason *reason, uint64_t code, const uint8_t *words, size_t count);
void rstream_quic_reason_application(rstream_quic_reason *reason, uint64_t code, const uint8_t *words, size_t count);

/* What the peer has said. */
rstream_quic_reason rstream_quic_reason_received(ngtcp2_conn *connection);
int rstream_quic_reason_is_application(const rstream_quic_reason *reason);

/* Whether the connection has been closed by one of its ends. */
int rstream_quic_is_closed(ngtcp2_conn *connection);

int rstream_quic_shutdown_stream(ngtcp2_conn *connection, int64_t stream, uint64_t code);
int rstream_quic_shutdown_stream_write(ngtcp2_conn *connection, int64_t stream, uint64_t code);
int rstream_quic_shutdown_stream_read(ngtcp2_conn *connection, int64_t stream, uint64_t code);

/* The token of an Initial packet. Its bytes are borrowed. */
ngtcp2_vec rstream_quic_header_token(const ngtcp2_pkt_hd *header);
void rstream_quic_header_clear_token(ngtcp2_pkt_hd *header);

/* is_retry: whether the token is of a Retry, not of an earlier connection. */
void rstream_quic_settings_token(ngtcp2_settings *settings, const uint8_t *bytes, size_t count, int is_retry);
void rstream_quic_settings_qlog(ngtcp2_settings *settings, ngtcp2_qlog_write write, const ngtcp2_cid *original);

/* A server's: the connection ID that the client had chosen first. */
void rstream_quic_parameters_original(ngtcp2_transport_params *parameters, const ngtcp2_cid *original);

/* The congestion window, in bytes. */
uint64_t rstream_quic_congestion_window(ngtcp2_conn *connection);
/* The second version of BBR, the only one that later versions have. */
ngtcp2_cc_algo rstream_quic_bbr(void);

/* Who gets the tokens that servers send. One for all tables. */
typedef void (*rstream_quic_token)(void *user, const uint8_t *bytes, size_t count);
void rstream_quic_callbacks_token(ngtcp2_callbacks *callbacks, rstream_quic_token take);

#endif
