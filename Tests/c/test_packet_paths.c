/* SPDX-License-Identifier: Apache-2.0 */
/* What tunnels travel on for each pair of transports, by owner and dialer: each carries 256 messages of 1000 bytes there
 * and back, and a packet channel says which path it has. */
#include <uv.h>

#include "check.h"
#include "world.h"

enum { MESSAGES = 256, SIZE = 1000 };

static rstream_client *client_over(struct world *world, const char *transport) {
  const char *settings[] = {"transport.mode", transport, NULL};
  return world_client(world, settings);
}

static void on_client_closed(void *data) {
  *(bool *)data = true;
}

static void close_client(struct world *world, rstream_client *client) {
  bool closed = false;
  CHECK_INT(rstream_client_close(client, on_client_closed, &closed), 0);
  run_until(world->loop, &closed);
}

/* The world's control channel is the owner's from now on, with a private tunnel of that name. */
static rstream_tunnel *publish(struct world *world, rstream_client *owner, const char *type, const char *guaranteed) {
  world->client = owner;
  world_open_tunnel(world);
  const char *options[] = {"name",     "path", "publish", "false", "type", type, "datagram_guaranteed_delivery",
                           guaranteed, NULL};
  if (!guaranteed) options[6] = NULL;
  return world_create_tunnel(world, options);
}

static void fill(uint8_t *message, int number) {
  for (int i = 0; i < SIZE; i++) message[i] = (uint8_t)(number * 31 + i);
}

/* -- streams -- */

static void streams(struct world *world, const char *owner_transport, const char *dialer_transport) {
  rstream_client *owner = client_over(world, owner_transport), *dialer = client_over(world, dialer_transport);
  rstream_tunnel *tunnel = publish(world, owner, "bytestream", NULL);
  CHECK_INT(rstream_tunnel_listen(tunnel, echo_stream, NULL), 0);
  rstream_stream *stream = world_dial(world, dialer, "path");
  struct collector answer = {0};
  uint8_t message[SIZE];
  CHECK_INT(rstream_stream_read_start(stream, collect, &answer), 0);
  for (int i = 0; i < MESSAGES; i++) {
    fill(message, i);
    rstream_buf buf = {message, SIZE};
    CHECK_INT(rstream_stream_write(stream, &buf, 1, NULL, NULL), 0);
  }
  RUN_UNTIL(world, answer.len == (size_t)MESSAGES * SIZE);
  for (int i = 0; i < MESSAGES; i++) {
    fill(message, i);
    CHECK(memcmp(answer.bytes + (size_t)i * SIZE, message, SIZE) == 0);
  }
  free(answer.bytes);
  CHECK_INT(rstream_stream_close(stream, NULL, NULL), 0);
  close_client(world, dialer);
  close_client(world, owner);
}

/* -- packets -- */

struct echoed {
  bool seen[MESSAGES];
  int count;
};

static void take(rstream_packets *packets, const uint8_t *packet, size_t len, const rstream_error *error, void *data) {
  struct echoed *echoed = data;
  (void)packets, (void)error;
  CHECK(packet != NULL);
  CHECK_INT(len, SIZE);
  uint8_t expected[SIZE];
  int number = packet[0] << 8 | packet[1];
  CHECK(number < MESSAGES);
  fill(expected, number);
  CHECK(memcmp(packet + 2, expected + 2, SIZE - 2) == 0);
  if (!echoed->seen[number]) echoed->count++;
  echoed->seen[number] = true;
}

static void echo(rstream_packets *packets, const uint8_t *packet, size_t len, const rstream_error *error, void *data) {
  (void)error, (void)data;
  if (packet) {
    /* What finds no room, on a slow machine, is sent once more like what is lost. */
    int status = rstream_packets_send(packets, packet, len, NULL);
    CHECK(status == 0 || status == UV_EAGAIN);
  } else {
    CHECK_INT(rstream_packets_close(packets, NULL, NULL), 0);
  }
}

static void echo_packets(rstream_tunnel *tunnel, rstream_packets *packets, void *data) {
  (void)tunnel;
  CHECK_STR(rstream_packets_path(packets), (const char *)data);
  CHECK_INT(rstream_packets_read_start(packets, echo, NULL), 0);
}

static void on_dial(rstream_packets *packets, const rstream_error *error, void *data) {
  if (error) fprintf(stderr, "%s: %s\n", rstream_error_name(error), rstream_error_message(error));
  CHECK(error == NULL);
  *(rstream_packets **)data = packets;
}

/* Paths of packets at the dialer and at the owner, which has the other leg. */
static void packets(struct world *world, const char *owner_transport, const char *dialer_transport,
                    const char *guaranteed, const char *dialer_path, const char *owner_path) {
  rstream_client *owner = client_over(world, owner_transport), *dialer = client_over(world, dialer_transport);
  rstream_tunnel *tunnel = publish(world, owner, "datagram", guaranteed);
  CHECK_INT(rstream_tunnel_listen_packets(tunnel, echo_packets, (void *)owner_path), 0);
  rstream_packets *channel = NULL;
  CHECK_INT(rstream_client_dial_packets(dialer, "path", on_dial, &channel), 0);
  RUN_UNTIL(world, channel);
  CHECK_STR(rstream_packets_path(channel), dialer_path);
  struct echoed echoed = {0};
  CHECK_INT(rstream_packets_read_start(channel, take, &echoed), 0);
  uint8_t message[SIZE];
  /* In small groups, and once more what was lost: on QUIC datagrams that may happen, and where too many wait. */
  for (int round = 0; echoed.count < MESSAGES; round++) {
    CHECK(round < 200);
    for (int i = 0; i < MESSAGES; i++) {
      if (echoed.seen[i]) continue;
      fill(message, i);
      message[0] = (uint8_t)(i >> 8);
      message[1] = (uint8_t)i;
      int status = rstream_packets_send(channel, message, SIZE, NULL);
      CHECK(status == 0 || status == UV_EAGAIN);
      if (i % 16 == 15) run_idle(world->loop, 5);
    }
    for (int wait = 0; wait < 20 && echoed.count < MESSAGES; wait++) run_idle(world->loop, 5);
  }
  CHECK_INT(rstream_packets_close(channel, NULL, NULL), 0);
  close_client(world, dialer);
  close_client(world, owner);
}

struct end {
  bool told;
  int code;
  char message[256];
};

static void take_end(rstream_packets *packets, const uint8_t *packet, size_t len, const rstream_error *error,
                     void *data) {
  struct end *end = data;
  (void)packets, (void)len;
  if (packet) return;
  end->told = true;
  end->code = rstream_error_code(error);
  if (error) snprintf(end->message, sizeof end->message, "%s", rstream_error_message(error));
}

/* Where packets are forwarded to nobody is: the dialer is told why its channel ends. */
static void reasons(struct world *world) {
  rstream_client *owner = client_over(world, "quic"), *dialer = client_over(world, "quic");
  rstream_tunnel *tunnel = publish(world, owner, "datagram", NULL);
  CHECK_INT(rstream_tunnel_forward(tunnel, "127.0.0.1:1", NULL, NULL, NULL), 0);
  rstream_packets *channel = NULL;
  CHECK_INT(rstream_client_dial_packets(dialer, "path", on_dial, &channel), 0);
  RUN_UNTIL(world, channel);
  struct end end = {0};
  CHECK_INT(rstream_packets_read_start(channel, take_end, &end), 0);
  while (!end.told) {
    int status = rstream_packets_send(channel, "x", 1, NULL);
    CHECK(status == 0 || status == UV_EPIPE || status == RSTREAM_EENGINE);
    run_idle(world->loop, 5);
  }
  CHECK_INT(end.code, RSTREAM_EENGINE);
  CHECK(strstr(end.message, "refused") != NULL);
  CHECK_INT(rstream_packets_close(channel, NULL, NULL), 0);
  close_client(world, dialer);
  close_client(world, owner);
}

int main(void) {
  struct world world;
  world_begin(&world);
  streams(&world, "tls", "tls");
  streams(&world, "quic", "quic");
  packets(&world, "tls", "tls", NULL, "stream", "stream");
  packets(&world, "quic", "tls", NULL, "stream", "quic-datagram");
  packets(&world, "quic", "quic", NULL, "quic-datagram", "quic-datagram");
  packets(&world, "quic", "quic", "true", "stream", "stream");
  reasons(&world);
  world_end(&world);
  return 0;
}
