/* SPDX-License-Identifier: Apache-2.0 */
/* A DTLS client by Mbed TLS: CA-FILE PORT HOST SUITE WORD... sends each word as one packet and prints what comes back, one
 * line each, after a line that tells the suite. Suites and words are the caller's; no ALPN is offered. */
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/timing.h>
#include <stdio.h>
#include <string.h>

static int failed(const char *attempt, int status) {
  char reason[128];
  mbedtls_strerror(status, reason, sizeof reason);
  printf("%s: %s\n", attempt, reason);
  return 1;
}

int main(int count, char **arguments) {
  if (count < 6) return 2;
  mbedtls_entropy_context entropy;
  mbedtls_ctr_drbg_context random;
  mbedtls_x509_crt authorities;
  mbedtls_ssl_config settings;
  mbedtls_ssl_context tls;
  mbedtls_net_context socket;
  mbedtls_timing_delay_context timer;
  mbedtls_entropy_init(&entropy);
  mbedtls_ctr_drbg_init(&random);
  mbedtls_x509_crt_init(&authorities);
  mbedtls_ssl_config_init(&settings);
  mbedtls_ssl_init(&tls);
  mbedtls_net_init(&socket);
  int suites[] = {mbedtls_ssl_get_ciphersuite_id(arguments[4]), 0};
  int status = mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0);
  if (!status) status = mbedtls_x509_crt_parse_file(&authorities, arguments[1]);
  if (!status)
    status = mbedtls_ssl_config_defaults(&settings, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_DATAGRAM,
                                         MBEDTLS_SSL_PRESET_DEFAULT);
  if (status || suites[0] == 0) return failed("set up", status);
  mbedtls_ssl_conf_rng(&settings, mbedtls_ctr_drbg_random, &random);
  mbedtls_ssl_conf_ca_chain(&settings, &authorities, NULL);
  mbedtls_ssl_conf_ciphersuites(&settings, suites);
  mbedtls_ssl_conf_read_timeout(&settings, 10000);
  if ((status = mbedtls_ssl_setup(&tls, &settings))) return failed("set up", status);
  mbedtls_ssl_set_hostname(&tls, arguments[3]);
  mbedtls_ssl_set_timer_cb(&tls, &timer, mbedtls_timing_set_delay, mbedtls_timing_get_delay);
  if ((status = mbedtls_net_connect(&socket, "127.0.0.1", arguments[2], MBEDTLS_NET_PROTO_UDP)))
    return failed("connect", status);
  mbedtls_ssl_set_bio(&tls, &socket, mbedtls_net_send, mbedtls_net_recv, mbedtls_net_recv_timeout);
  do {
    status = mbedtls_ssl_handshake(&tls);
  } while (status == MBEDTLS_ERR_SSL_WANT_READ || status == MBEDTLS_ERR_SSL_WANT_WRITE);
  if (status) return failed("handshake", status);
  printf("%s\n", mbedtls_ssl_get_ciphersuite(&tls));
  for (int index = 5; index < count; index++) {
    const char *word = arguments[index];
    unsigned char answer[16384];
    status = mbedtls_ssl_write(&tls, (const unsigned char *)word, strlen(word));
    if (status < 0) return failed("write", status);
    do {
      status = mbedtls_ssl_read(&tls, answer, sizeof answer);
    } while (status == MBEDTLS_ERR_SSL_WANT_READ);
    if (status < 0) return failed("read", status);
    printf("%.*s\n", status, answer);
  }
  mbedtls_ssl_close_notify(&tls);
  return 0;
}
