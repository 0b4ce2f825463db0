/* SPDX-License-Identifier: Apache-2.0 */
/* Packet channels whose packets are QUIC datagrams: how long they may be, how many wait on either side, whose turn it is,
 * and channels that end before anybody takes them. */
#include <uv.h>

#include "check.h"
#include "world.h"

enum { LIMIT = 64, BACKLOG = 10 };

static rstream_client *client_over_quic(struct world *world) {
  const char *settings[] = {"transport.mode", "quic", NULL};
  return world_client(world, settings);
}

static void close_client(struct world *world, rstream_client *client) {
  bool closed = false;
  CHECK_INT(rstream_client_close(client, set_flag, &closed), 0);
  run_until(world->loop, &closed);
}

static void on_dial(rstream_packets *packets, const rstream_error *error, void *data) {
  if (error) fprintf(stderr, "%s: %s\n", rstream_error_name(error), rstream_error_message(error));
  CHECK(error == NULL);
  *(rstream_packets **)data = packets;
}

static rstream_packets *dial(struct world *world, rstream_client *client, const char *name) {
  rstream_packets *packets = NULL;
  CHECK_INT(rstream_client_dial_packets(client, name, on_dial, &packets), 0);
  RUN_UNTIL(world, packets);
  CHECK_STR(rstream_packets_path(packets), "quic-datagram");
  return packets;
}

struct accepted {
  rstream_packets *packets[32];
  int count;
};

static void refuse(rstream_tunnel *tunnel, rstream_packets *packets, void *data) {
  (void)tunnel, (void)data;
  CHECK_INT(rstream_packets_close(packets, NULL, NULL), 0);
}

static void keep(rstream_tunnel *tunnel, rstream_packets *packets, void *data) {
  struct accepted *accepted = data;
  CHECK(tunnel != NULL && accepted->count < 32);
  accepted->packets[accepted->count++] = packets;
}

struct box {
  int count;
  uint8_t numbers[256];
  size_t len;
  bool ended;
  int failure;
};

static void put(rstream_packets *packets, const uint8_t *packet, size_t len, const rstream_error *error, void *data) {
  struct box *box = data;
  (void)packets;
  if (!packet) {
    box->ended = true;
    box->failure = rstream_error_code(error);
    return;
  }
  CHECK(box->count < 256);
  if (len > 0) box->numbers[box->count] = packet[0];
  box->count++;
  box->len = len;
}

static void drained(rstream_packets *packets, void *data) {
  CHECK(packets != NULL);
  ++*(int *)data;
}

static void sizes(struct world *world, rstream_packets *near, rstream_packets *far) {
  static uint8_t bytes[65535];
  struct box box = {0};
  size_t largest = rstream_packets_max_size(near);
  CHECK(largest > 1000 && largest < 65535);
  rstream_error *error = NULL;
  char text[32];
  snprintf(text, sizeof text, "at most %zu", largest);
  CHECK_INT(rstream_packets_send(near, bytes, largest + 1, &error), UV_EMSGSIZE);
  CHECK(strstr(rstream_error_message(error), text) != NULL);
  rstream_error_free(error);
  CHECK_INT(rstream_packets_count(near, "dropped_sending"), 1);
  CHECK_INT(rstream_packets_read_start(far, put, &box), 0);
  /* The other leg's largest may be shorter: its path was looked at for less long. */
  const size_t lengths[] = {0, 1, 1000};
  for (int i = 0; i < 3; i++) {
    CHECK_INT(rstream_packets_send(near, bytes, lengths[i], NULL), 0);
    RUN_UNTIL(world, box.count == i + 1);
    CHECK_INT(box.len, lengths[i]);
  }
  CHECK_INT(rstream_packets_read_stop(far), 0);
}

/* Nothing leaves before the loop goes on: 64 packets wait, one more does not, and another channel is none the worse. */
static void too_many(struct world *world, rstream_packets *near, rstream_packets *other, rstream_packets *far) {
  struct box box = {0};
  int drains = 0;
  uint64_t dropped = rstream_packets_count(near, "dropped_sending");
  CHECK_INT(rstream_packets_on_drain(near, drained, &drains), 0);
  for (uint8_t i = 0; i < LIMIT; i++) CHECK_INT(rstream_packets_send(near, &i, 1, NULL), 0);
  CHECK_INT(rstream_packets_queue_size(near), LIMIT);
  CHECK_INT(rstream_packets_send(near, "x", 1, NULL), UV_EAGAIN);
  CHECK_INT(rstream_packets_count(near, "dropped_sending"), (int)dropped + 1);
  CHECK_INT(rstream_packets_queue_size(other), 0);
  CHECK_INT(rstream_packets_send(other, "y", 1, NULL), 0);
  CHECK_INT(rstream_packets_queue_size(other), 1);
  CHECK_INT(rstream_packets_read_start(far, put, &box), 0);
  RUN_UNTIL(world, drains > 0);
  CHECK_INT(rstream_packets_queue_size(near), 0);
  RUN_UNTIL(world, box.count == LIMIT);
  for (int i = 0; i < LIMIT; i++) CHECK_INT(box.numbers[i], i);
  CHECK_INT(rstream_packets_read_stop(far), 0);
  CHECK_INT(rstream_packets_on_drain(near, NULL, NULL), 0);
}

/* Who does not read keeps 64 packets; what comes later is lost. */
static void not_read(struct world *world, rstream_packets *near, rstream_packets *far) {
  struct box box = {0};
  uint8_t number = 0;
  while (rstream_packets_count(far, "dropped_receiving") == 0) {
    CHECK_INT(rstream_packets_send(near, &number, 1, NULL), 0);
    number++;
    CHECK(number < 200);
    run_idle(world->loop, 1);
  }
  CHECK_INT(rstream_packets_read_start(far, put, &box), 0);
  RUN_UNTIL(world, box.count >= LIMIT);
  CHECK_INT(box.numbers[0], 0);
  CHECK_INT(box.numbers[LIMIT - 1], LIMIT - 1);
  /* The end comes behind the last packet. */
  CHECK_INT(rstream_packets_send(near, "bye", 3, NULL), 0);
  CHECK_INT(rstream_packets_close(near, NULL, NULL), 0);
  run_until(world->loop, &box.ended);
  CHECK_INT(box.failure, 0);
  CHECK(box.count > LIMIT);
  CHECK_INT(box.len, 3);
  CHECK_INT(rstream_packets_send(far, "x", 1, NULL), UV_EPIPE);
  CHECK_INT(rstream_packets_close(far, NULL, NULL), 0);
}

static void dialed_and_gone(rstream_packets *packets, const rstream_error *error, void *data) {
  (void)error;
  if (packets) CHECK_INT(rstream_packets_close(packets, NULL, NULL), 0);
  ++*(int *)data;
}

/* Awaits that the agent has been asked for what was dialed before, by dialing a tunnel that is listened to. */
static void reach_agent(struct world *world, rstream_client *client) {
  CHECK_INT(rstream_packets_close(dial(world, client, "other"), NULL, NULL), 0);
}

/* Nobody listens: ten channels wait for that and one for a place. Whoever takes those that have ended meanwhile is told. */
static void ended_before(struct world *world, rstream_tunnel *tunnel) {
  struct accepted accepted = {0};
  struct box boxes[BACKLOG + 1] = {0};
  rstream_client *first = client_over_quic(world), *second = client_over_quic(world);
  rstream_packets *waiting[BACKLOG];
  CHECK_INT(rstream_tunnel_listen_packets(tunnel, NULL, NULL), 0);
  for (int i = 0; i < BACKLOG; i++) waiting[i] = dial(world, first, "packets");
  int refused = 0;
  /* The eleventh is not agreed to yet; with its client it goes. */
  CHECK_INT(rstream_client_dial_packets(second, "packets", dialed_and_gone, &refused), 0);
  reach_agent(world, second);
  CHECK_INT(refused, 0);
  close_client(world, second);
  CHECK_INT(refused, 1);
  CHECK_INT(rstream_packets_close(waiting[0], NULL, NULL), 0);
  reach_agent(world, first);
  CHECK_INT(rstream_tunnel_listen_packets(tunnel, keep, &accepted), 0);
  RUN_UNTIL(world, accepted.count == BACKLOG + 1);
  for (int i = 0; i < accepted.count; i++)
    CHECK_INT(rstream_packets_read_start(accepted.packets[i], put, &boxes[i]), 0);
  run_until(world->loop, &boxes[0].ended);
  run_until(world->loop, &boxes[BACKLOG].ended);
  for (int i = 1; i < BACKLOG; i++) CHECK(!boxes[i].ended);
  close_client(world, first);
  for (int i = 1; i < BACKLOG; i++) run_until(world->loop, &boxes[i].ended);
  for (int i = 0; i < accepted.count; i++) CHECK_INT(rstream_packets_close(accepted.packets[i], NULL, NULL), 0);
}

int main(void) {
  struct world world;
  struct accepted accepted = {0};
  world_begin(&world);
  world.client = client_over_quic(&world);
  world_open_tunnel(&world);
  const char *options[] = {"name", "packets", "publish", "false", "type", "datagram", NULL};
  world.tunnel = world_create_tunnel(&world, options);
  CHECK_INT(rstream_tunnel_listen_packets(world.tunnel, keep, &accepted), 0);
  options[1] = "other";
  CHECK_INT(rstream_tunnel_listen_packets(world_create_tunnel(&world, options), refuse, NULL), 0);
  rstream_client *dialer = client_over_quic(&world);
  rstream_packets *near = dial(&world, dialer, "packets"), *other = dial(&world, dialer, "packets");
  RUN_UNTIL(&world, accepted.count == 2);
  sizes(&world, near, accepted.packets[0]);
  too_many(&world, near, other, accepted.packets[0]);
  not_read(&world, near, accepted.packets[0]);
  ended_before(&world, world.tunnel);
  world_end(&world);
  return 0;
}
