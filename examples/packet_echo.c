/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets both ways: with a name alone it offers a private datagram tunnel and sends every packet back; with texts behind
 * the name it dials such a tunnel, sends each text as a packet, and prints the packets that come back.
 *
 *     rstreamctl engine --dev                        (says what to export)
 *     export RSTREAM_ENGINE=localhost:4443 RSTREAM_CA_FILE=...
 *     packet_echo NAME
 *     packet_echo NAME TEXT...
 */
#include <rstream.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *name;
static char **texts;
static int text_count, answers;

static void fail(const rstream_error *error) {
  fprintf(stderr, "%s: %s\n", rstream_error_name(error), rstream_error_message(error));
  exit(1);
}

/* Offering. */

static void send_back(rstream_packets *packets, const uint8_t *packet, size_t len, const rstream_error *error,
                      void *data) {
  (void)error, (void)data;
  if (packet) {
    /* One that finds too many waiting is lost and counted: they are packets. */
    rstream_packets_send(packets, packet, len, NULL);
    return;
  }
  printf("%s: %llu packets, %llu of them dropped\n", rstream_packets_peer(packets),
         (unsigned long long)rstream_packets_count(packets, "received"),
         (unsigned long long)rstream_packets_count(packets, "dropped_sending"));
  fflush(stdout);
  rstream_packets_close(packets, NULL, NULL);
}

static void on_packets(rstream_tunnel *tunnel, rstream_packets *packets, void *data) {
  (void)tunnel;
  rstream_packets_read_start(packets, send_back, data);
}

static void on_tunnel(rstream_tunnel *tunnel, const rstream_error *error, void *data) {
  if (error) fail(error);
  rstream_tunnel_listen_packets(tunnel, on_packets, data);
  printf("%s\n", rstream_tunnel_forwarding_address(tunnel));
  fflush(stdout);
}

static void on_control(rstream_control *control, const rstream_error *error, void *data) {
  if (error) fail(error);
  rstream_error *refusal = NULL;
  rstream_tunnel_options *options = NULL;
  rstream_tunnel_options_new(&options);
  if (rstream_tunnel_options_set(options, "name", name, &refusal) != 0) fail(refusal);
  rstream_tunnel_options_set(options, "type", "datagram", NULL);
  rstream_tunnel_options_set(options, "publish", "false", NULL);
  if (rstream_control_create_tunnel(control, options, on_tunnel, data, &refusal) != 0) fail(refusal);
  rstream_tunnel_options_free(options);
}

/* Dialing. */

static void print(rstream_packets *packets, const uint8_t *packet, size_t len, const rstream_error *error, void *data) {
  (void)data;
  if (error) fail(error);
  if (packet) printf("%zu: %.*s\n", len, (int)len, (const char *)packet);
  /* Nothing is left on the loop then: rstream_loop_run() returns. */
  if (!packet || ++answers == text_count) rstream_packets_close(packets, NULL, NULL);
}

static void on_dial(rstream_packets *packets, const rstream_error *error, void *data) {
  if (error) fail(error);
  rstream_packets_read_start(packets, print, data);
  for (int i = 0; i < text_count; i++) {
    rstream_error *refusal = NULL;
    if (rstream_packets_send(packets, texts[i], strlen(texts[i]), &refusal) != 0) fail(refusal);
  }
}

int main(int argc, char **argv) {
  rstream_loop *loop = NULL;
  rstream_config *config = NULL;
  rstream_client *client = NULL;
  rstream_error *error = NULL;
  if (argc < 2) {
    fprintf(stderr, "usage: packet_echo NAME [TEXT...]\n");
    return 2;
  }
  name = argv[1];
  texts = argv + 2;
  text_count = argc - 2;
  if (rstream_loop_new(&loop) != 0 || rstream_config_new(&config) != 0) return 1;
  if (rstream_config_load(config, &error) != 0) fail(error);
  /* Ask the engine first, so that a tunnel that does not exist is an error and not a channel that ends at once. */
  rstream_config_set(config, "zeroRtt", "false", NULL);
  if (rstream_client_new(loop, config, &client, &error) != 0) fail(error);
  rstream_config_free(config);
  if (text_count > 0) {
    rstream_client_dial_packets(client, name, on_dial, NULL);
  } else {
    rstream_client_connect(client, on_control, NULL);
  }
  rstream_loop_run(loop);
  rstream_loop_close(loop, NULL, NULL);
  return answers < text_count;
}
