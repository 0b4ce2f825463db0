/* SPDX-License-Identifier: Apache-2.0 */
#include "versions.h"

#include "CQUIC.h"

static rstream_quic_token take_token;

#if NGTCP2_VERSION_NUM >= 0x010000

void rstream_quic_reason_error(rstream_quic_reason *reason, int error) {
  ngtcp2_ccerr_set_liberr(reason, error, NULL, 0);
}

void rstream_quic_reason_alert(rstream_quic_reason *reason, uint8_t alert) {
  ngtcp2_ccerr_set_tls_alert(reason, alert, NULL, 0);
}

void rstream_quic_reason_transport(rstream_quic_reason *reason, uint64_t code, const uint8_t *words, size_t count) {
  ngtcp2_ccerr_set_transport_error(reason, code, words, count);
}

void rstream_quic_reason_application(rstream_quic_reason *reason, uint64_t code, const uint8_t *words, size_t count) {
  ngtcp2_ccerr_set_application_error(reason, code, words, count);
}

rstream_quic_reason rstream_quic_reason_received(ngtcp2_conn *connection) {
  return *ngtcp2_conn_get_ccerr(connection);
}

int rstream_quic_reason_is_application(const rstream_quic_reason *reason) {
  return reason->type == NGTCP2_CCERR_TYPE_APPLICATION;
}

int rstream_quic_is_closed(ngtcp2_conn *connection) {
  return ngtcp2_conn_in_closing_period(connection) || ngtcp2_conn_in_draining_period(connection);
}

int rstream_quic_shutdown_stream(ngtcp2_conn *connection, int64_t stream, uint64_t code) {
  return ngtcp2_conn_shutdown_stream(connection, 0, stream, code);
}

int rstream_quic_shutdown_stream_write(ngtcp2_conn *connection, int64_t stream, uint64_t code) {
  return ngtcp2_conn_shutdown_stream_write(connection, 0, stream, code);
}

int rstream_quic_shutdown_stream_read(ngtcp2_conn *connection, int64_t stream, uint64_t code) {
  return ngtcp2_conn_shutdown_stream_read(connection, 0, stream, code);
}

ngtcp2_vec rstream_quic_header_token(const ngtcp2_pkt_hd *header) {
  return (ngtcp2_vec){(uint8_t *)header->token, header->tokenlen};
}

void rstream_quic_header_clear_token(ngtcp2_pkt_hd *header) {
  header->token = NULL;
  header->tokenlen = 0;
}

void rstream_quic_settings_token(ngtcp2_settings *settings, const uint8_t *bytes, size_t count, int is_retry) {
  settings->token = bytes;
  settings->tokenlen = count;
  settings->token_type = is_retry ? NGTCP2_TOKEN_TYPE_RETRY : NGTCP2_TOKEN_TYPE_NEW_TOKEN;
}

void rstream_quic_settings_qlog(ngtcp2_settings *settings, ngtcp2_qlog_write write, const ngtcp2_cid *original) {
  (void)original;
  settings->qlog_write = write;
}

void rstream_quic_parameters_original(ngtcp2_transport_params *parameters, const ngtcp2_cid *original) {
  parameters->original_dcid = *original;
  parameters->original_dcid_present = 1;
}

uint64_t rstream_quic_congestion_window(ngtcp2_conn *connection) {
  ngtcp2_conn_info info;
  ngtcp2_conn_get_conn_info(connection, &info);
  return info.cwnd;
}

ngtcp2_cc_algo rstream_quic_bbr(void) {
  return NGTCP2_CC_ALGO_BBR;
}

static int on_token(ngtcp2_conn *connection, const uint8_t *bytes, size_t count, void *user) {
  (void)connection;
  take_token(user, bytes, count);
  return 0;
}

#else

void rstream_quic_reason_error(rstream_quic_reason *reason, int error) {
  ngtcp2_connection_close_error_set_transport_error_liberr(reason, error, NULL, 0);
}

void rstream_quic_reason_alert(rstream_quic_reason *reason, uint8_t alert) {
  ngtcp2_connection_close_error_set_transport_error_tls_alert(reason, alert, NULL, 0);
}

void rstream_quic_reason_transport(rstream_quic_reason *reason, uint64_t code, const uint8_t *words, size_t count) {
  ngtcp2_connection_close_error_set_transport_error(reason, code, words, count);
}

void rstream_quic_reason_application(rstream_quic_reason *reason, uint64_t code, const uint8_t *words, size_t count) {
  ngtcp2_connection_close_error_set_application_error(reason, code, words, count);
}

rstream_quic_reason rstream_quic_reason_received(ngtcp2_conn *connection) {
  rstream_quic_reason reason;
  ngtcp2_conn_get_connection_close_error(connection, &reason);
  return reason;
}

int rstream_quic_reason_is_application(const rstream_quic_reason *reason) {
  return reason->type == NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION;
}

int rstream_quic_is_closed(ngtcp2_conn *connection) {
  return ngtcp2_conn_is_in_closing_period(connection) || ngtcp2_conn_is_in_draining_period(connection);
}

int rstream_quic_shutdown_stream(ngtcp2_conn *connection, int64_t stream, uint64_t code) {
  return ngtcp2_conn_shutdown_stream(connection, stream, code);
}

int rstream_quic_shutdown_stream_write(ngtcp2_conn *connection, int64_t stream, uint64_t code) {
  return ngtcp2_conn_shutdown_stream_write(connection, stream, code);
}

int rstream_quic_shutdown_stream_read(ngtcp2_conn *connection, int64_t stream, uint64_t code) {
  return ngtcp2_conn_shutdown_stream_read(connection, stream, code);
}

ngtcp2_vec rstream_quic_header_token(const ngtcp2_pkt_hd *header) {
  return header->token;
}

void rstream_quic_header_clear_token(ngtcp2_pkt_hd *header) {
  header->token = (ngtcp2_vec){NULL, 0};
}

void rstream_quic_settings_token(ngtcp2_settings *settings, const uint8_t *bytes, size_t count, int is_retry) {
  (void)is_retry;
  settings->token = (ngtcp2_vec){(uint8_t *)bytes, count};
}

void rstream_quic_settings_qlog(ngtcp2_settings *settings, ngtcp2_qlog_write write, const ngtcp2_cid *original) {
  settings->qlog.write = write;
  settings->qlog.odcid = *original;
}

void rstream_quic_parameters_original(ngtcp2_transport_params *parameters, const ngtcp2_cid *original) {
  parameters->original_dcid = *original;
}

uint64_t rstream_quic_congestion_window(ngtcp2_conn *connection) {
  ngtcp2_conn_stat info;
  ngtcp2_conn_get_conn_stat(connection, &info);
  return info.cwnd;
}

ngtcp2_cc_algo rstream_quic_bbr(void) {
  return NGTCP2_CC_ALGO_BBR2;
}

static int on_token(ngtcp2_conn *connection, const ngtcp2_vec *token, void *user) {
  (void)connection;
  take_token(user, token->base, token->len);
  return 0;
}

#endif

void rstream_quic_callbacks_token(ngtcp2_callbacks *callbacks, rstream_quic_token take) {
  take_token = take;
  callbacks->recv_new_token = on_token;
}
