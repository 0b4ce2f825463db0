/* SPDX-License-Identifier: Apache-2.0 */
/* Packet channels of a private datagram tunnel: sizes, order, what is too long, what is too much, the end, forwarding. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "check.h"
#include "world.h"

struct box {
  size_t lengths[16384];
  size_t count;
  uint8_t last[65535];
  bool ended;
  int failure;
};

static void put(rstream_packets *packets, const uint8_t *packet, size_t len, const rstream_error *error, void *data) {
  struct box *box = data;
  CHECK(packets != NULL);
  if (!packet) {
    CHECK_INT(len, 0);
    box->ended = true;
    box->failure = rstream_error_code(error);
    return;
  }
  CHECK(error == NULL && len <= sizeof box->last && box->count < 16384);
  box->lengths[box->count++] = len;
  memcpy(box->last, packet, len);
}

struct dialed {
  rstream_packets *packets;
  int code;
  bool done;
};

static void on_dial(rstream_packets *packets, const rstream_error *error, void *data) {
  struct dialed *dialed = data;
  dialed->packets = packets;
  dialed->code = rstream_error_code(error);
  dialed->done = true;
}

static struct dialed dial(struct world *world, rstream_client *client, const char *name) {
  struct dialed dialed = {0};
  CHECK_INT(rstream_client_dial_packets(client, name, on_dial, &dialed), 0);
  CHECK(!dialed.done);
  run_until(world->loop, &dialed.done);
  return dialed;
}

static void keep(rstream_tunnel *tunnel, rstream_packets *packets, void *data) {
  CHECK(tunnel != NULL);
  *(rstream_packets **)data = packets;
}

static void echo(rstream_packets *packets, const uint8_t *packet, size_t len, const rstream_error *error, void *data) {
  (void)error, (void)data;
  if (packet) {
    CHECK_INT(rstream_packets_send(packets, packet, len, NULL), 0);
  } else {
    CHECK_INT(rstream_packets_close(packets, NULL, NULL), 0);
  }
}

static void echo_packets(rstream_tunnel *tunnel, rstream_packets *packets, void *data) {
  (void)tunnel, (void)data;
  CHECK_INT(rstream_packets_read_start(packets, echo, NULL), 0);
}

static void sizes(struct world *world, rstream_client *client, const char *name) {
  static const size_t lengths[] = {0, 1, 2, 1199, 0, 1280, 1500, 16380, 16384, 65507, 65534, 65535, 0};
  enum { COUNT = sizeof lengths / sizeof *lengths };
  static struct box box;
  static uint8_t bytes[65536];
  memset(&box, 0, sizeof box);
  rstream_packets *packets = dial(world, client, name).packets;
  CHECK(packets != NULL);
  CHECK_STR(rstream_packets_path(packets), "stream");
  CHECK_INT(rstream_packets_max_size(packets), 65535);
  CHECK_STR(rstream_packets_peer(packets), "");
  CHECK_INT(rstream_packets_read_start(packets, put, &box), 0);
  CHECK_INT(rstream_packets_read_start(packets, put, &box), UV_EALREADY);
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 7 + i / 255);
  for (int i = 0; i < COUNT; i++) {
    CHECK_INT(rstream_packets_send(packets, lengths[i] ? bytes : NULL, lengths[i], NULL), 0);
    RUN_UNTIL(world, box.count == (size_t)i + 1);
    CHECK_INT(box.lengths[i], lengths[i]);
    CHECK(memcmp(box.last, bytes, lengths[i]) == 0);
  }
  rstream_error *error = NULL;
  CHECK_INT(rstream_packets_send(packets, bytes, 65536, &error), UV_EMSGSIZE);
  CHECK(strstr(rstream_error_message(error), "65536") && strstr(rstream_error_message(error), "65535"));
  rstream_error_free(error);
  CHECK_INT(rstream_packets_send(packets, bytes, SIZE_MAX, NULL), UV_EMSGSIZE);
  CHECK_INT(rstream_packets_send(packets, NULL, 1, NULL), UV_EINVAL);
  CHECK_INT(rstream_packets_count(packets, "sent"), COUNT);
  CHECK_INT(rstream_packets_count(packets, "received"), COUNT);
  CHECK_INT(rstream_packets_count(packets, "dropped_sending"), 2);
  CHECK_INT(rstream_packets_count(packets, "dropped_receiving"), 0);
  CHECK_INT(rstream_packets_count(packets, "nothing"), 0);
  bool closed = false;
  CHECK_INT(rstream_packets_close(packets, set_flag, &closed), 0);
  CHECK_INT(rstream_packets_send(packets, "x", 1, NULL), RSTREAM_ESTREAM_CLOSED);
  CHECK_INT(rstream_packets_close(packets, set_flag, &closed), RSTREAM_ESTREAM_CLOSED);
  CHECK(!closed);
  run_until(world->loop, &closed);
}

static void drained(rstream_packets *packets, void *data) {
  (void)packets;
  ++*(int *)data;
}

/* Who sends faster than the other side reads is told, and what was taken arrives in order. */
static void too_much(struct world *world) {
  static struct box box;
  static uint8_t bytes[4000];
  rstream_packets *accepted = NULL;
  int drains = 0, taken = 0, status = 0;
  CHECK_INT(rstream_tunnel_listen_packets(world->tunnel, keep, &accepted), 0);
  rstream_packets *packets = dial(world, world->client, "packets").packets;
  CHECK_INT(rstream_packets_on_drain(packets, drained, &drains), 0);
  RUN_UNTIL(world, accepted);
  CHECK_STR(rstream_packets_peer(accepted), "127.0.0.1");
  CHECK_INT(strlen(rstream_packets_stream_id(accepted)), 24);
  while (taken < 16384 && status == 0) {
    /* Until everything in between is full as well. */
    while (taken < 16384 && (status = rstream_packets_send(packets, bytes, sizeof bytes, NULL)) == 0) taken++;
    for (int i = 0; i < 20 && rstream_packets_queue_size(packets) > 0; i++) run_idle(world->loop, 5);
    if (status == UV_EAGAIN && rstream_packets_queue_size(packets) == 0) status = 0;
  }
  CHECK_INT(status, UV_EAGAIN);
  CHECK_INT(rstream_packets_queue_size(packets), 64);
  uint64_t dropped = rstream_packets_count(packets, "dropped_sending");
  CHECK(dropped >= 1);
  CHECK_INT(rstream_packets_send(packets, bytes, 1, NULL), UV_EAGAIN);
  CHECK_INT(rstream_packets_count(packets, "dropped_sending"), (int)dropped + 1);
  int before = drains;
  CHECK_INT(rstream_packets_read_start(accepted, put, &box), 0);
  RUN_UNTIL(world, drains > before);
  CHECK_INT(rstream_packets_queue_size(packets), 0);
  CHECK_INT(rstream_packets_send(packets, bytes, 1, NULL), 0);
  RUN_UNTIL(world, box.count == (size_t)taken + 1);
  CHECK_INT(box.lengths[taken], 1);
  CHECK_INT(box.lengths[taken - 1], sizeof bytes);
  /* The end comes behind the last packet. */
  CHECK_INT(rstream_packets_send(packets, "bye", 3, NULL), 0);
  CHECK_INT(rstream_packets_close(packets, NULL, NULL), 0);
  run_until(world->loop, &box.ended);
  CHECK_INT(box.failure, 0);
  CHECK_INT(box.lengths[taken + 1], 3);
  CHECK_INT(rstream_packets_send(accepted, "x", 1, NULL), UV_EPIPE);
  CHECK_INT(rstream_packets_close(accepted, NULL, NULL), 0);
}

struct service {
  int fd;
  bool done;
};

/* Answers every packet with itself, until it gets one that says so. */
static void *serve(void *data) {
  struct service *service = data;
  int fd = service->fd;
  static char buffer[65536];
  for (;;) {
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    ssize_t count = recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&peer, &length);
    CHECK(count >= 0);
    if (count == 4 && memcmp(buffer, "stop", 4) == 0) break;
    CHECK(sendto(fd, buffer, (size_t)count, 0, (struct sockaddr *)&peer, length) == count);
  }
  __atomic_store_n(&service->done, true, __ATOMIC_SEQ_CST);
  return NULL;
}

struct events {
  int opened, closed, error;
  uint64_t in, out;
};

static void on_forward(rstream_tunnel *tunnel, int event, const char *peer, uint64_t in, uint64_t out,
                       const rstream_error *error, void *data) {
  struct events *events = data;
  CHECK(tunnel != NULL);
  CHECK_STR(peer, "127.0.0.1");
  if (event == RSTREAM_FORWARD_OPENED) {
    events->opened++;
    return;
  }
  events->closed++;
  events->error = rstream_error_code(error);
  events->in = in;
  events->out = out;
}

static void forward(struct world *world) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  struct service service = {socket(AF_INET, SOCK_DGRAM, 0), false};
  CHECK_INT(bind(service.fd, (struct sockaddr *)&address, sizeof address), 0);
  CHECK_INT(getsockname(service.fd, (struct sockaddr *)&address, &length), 0);
  pthread_t thread;
  CHECK_INT(pthread_create(&thread, NULL, serve, &service), 0);

  char target[64];
  struct events events = {0};
  static struct box box;
  static uint8_t bytes[65507];
  CHECK_INT(rstream_tunnel_forward(world->tunnel, "unix:/tmp/x", NULL, NULL, NULL), RSTREAM_EINVALID_LOCAL_ENDPOINT);
  snprintf(target, sizeof target, "udp:127.0.0.1:%d", ntohs(address.sin_port));
  CHECK_INT(rstream_tunnel_forward(world->tunnel, target, on_forward, &events, NULL), 0);
  rstream_packets *packets = dial(world, world->client, "packets").packets;
  CHECK_INT(rstream_packets_read_start(packets, put, &box), 0);
  static const size_t lengths[] = {0, 5, sizeof bytes};
  for (size_t i = 0; i < 3; i++) {
    CHECK_INT(rstream_packets_send(packets, bytes, lengths[i], NULL), 0);
    RUN_UNTIL(world, box.count == i + 1);
    CHECK_INT(box.lengths[i], lengths[i]);
  }
  CHECK_INT(rstream_packets_send(packets, "stop", 4, NULL), 0);
  RUN_UNTIL(world, __atomic_load_n(&service.done, __ATOMIC_SEQ_CST));
  pthread_join(thread, NULL);
  close(service.fd);
  CHECK_INT(rstream_packets_close(packets, NULL, NULL), 0);
  RUN_UNTIL(world, events.closed == 1);
  CHECK_INT(events.opened, 1);
  CHECK_INT(events.error, 0);
  CHECK_INT(events.in, 5 + (int)sizeof bytes + 4);
  CHECK_INT(events.out, 5 + (int)sizeof bytes);

  /* Nobody is there any more. */
  memset(&box, 0, sizeof box);
  packets = dial(world, world->client, "packets").packets;
  CHECK_INT(rstream_packets_read_start(packets, put, &box), 0);
  CHECK_INT(rstream_packets_send(packets, "x", 1, NULL), 0);
  run_until(world->loop, &box.ended);
  RUN_UNTIL(world, events.closed == 2);
  CHECK_INT(events.error, UV_ECONNREFUSED);
  CHECK_INT(rstream_packets_close(packets, NULL, NULL), 0);
}

static void null_handles(void) {
  CHECK_INT(rstream_client_dial_packets(NULL, "x", on_dial, NULL), UV_EINVAL);
  CHECK_INT(rstream_tunnel_listen_packets(NULL, keep, NULL), UV_EINVAL);
  CHECK_INT(rstream_packets_read_start(NULL, put, NULL), UV_EINVAL);
  CHECK_INT(rstream_packets_read_stop(NULL), UV_EINVAL);
  CHECK_INT(rstream_packets_send(NULL, "x", 1, NULL), UV_EINVAL);
  CHECK_INT(rstream_packets_on_drain(NULL, drained, NULL), UV_EINVAL);
  CHECK_INT(rstream_packets_max_size(NULL), 0);
  CHECK_INT(rstream_packets_queue_size(NULL), 0);
  CHECK_INT(rstream_packets_count(NULL, "sent"), 0);
  CHECK(rstream_packets_path(NULL) == NULL);
  CHECK(rstream_packets_peer(NULL) == NULL);
  CHECK(rstream_packets_stream_id(NULL) == NULL);
  CHECK_INT(rstream_packets_close(NULL, NULL, NULL), UV_EINVAL);
}

static void no_stream(rstream_tunnel *tunnel, rstream_stream *stream, void *data) {
  (void)tunnel, (void)stream, (void)data;
  CHECK(false);
}

/* Gone before a callback could be made. */
struct never {
  int calls;
};

static void not_read(rstream_packets *packets, const uint8_t *packet, size_t len, const rstream_error *error,
                     void *data) {
  (void)packets, (void)packet, (void)len, (void)error;
  ((struct never *)data)->calls++;
  CHECK(false);
}

static void not_drained(rstream_packets *packets, void *data) {
  (void)packets;
  ((struct never *)data)->calls++;
  CHECK(false);
}

static void on_client_closed(void *data) {
  *(bool *)data = true;
}

int main(void) {
  struct world world;
  null_handles();
  world_begin(&world);
  world_open_tunnel(&world);
  CHECK_INT(rstream_tunnel_listen_packets(world.tunnel, echo_packets, NULL), RSTREAM_EUNSUPPORTED_TUNNEL);
  const char *options[] = {"name", "packets", "publish", "false", "type", "datagram", NULL};
  world.tunnel = world_create_tunnel(&world, options);
  CHECK_STR(rstream_tunnel_property(world.tunnel, "type"), "datagram");
  CHECK_INT(rstream_tunnel_listen(world.tunnel, no_stream, NULL), RSTREAM_EUNSUPPORTED_TUNNEL);
  CHECK_INT(rstream_tunnel_listen_packets(world.tunnel, echo_packets, NULL), 0);

  const char *settings[] = {"zeroRtt", "false", NULL};
  rstream_client *patient = world_client(&world, settings);
  sizes(&world, world.client, "packets");
  sizes(&world, patient, rstream_tunnel_property(world.tunnel, "id"));

  struct dialed refused = dial(&world, patient, "nobody");
  CHECK(refused.packets == NULL);
  CHECK_INT(refused.code, RSTREAM_EENGINE);
  CHECK_INT(rstream_client_dial_packets(patient, "  ", on_dial, NULL), RSTREAM_EINVALID_TUNNEL);

  too_much(&world);
  forward(&world);

  /* With its client a channel ends; its own close comes first, and is the last that its callbacks are called before. */
  bool packets_closed = false, client_closed = false;
  CHECK_INT(rstream_tunnel_listen_packets(world.tunnel, echo_packets, NULL), 0);
  rstream_packets *packets = dial(&world, patient, "packets").packets;
  rstream_packets *silent = dial(&world, patient, "packets").packets;
  struct never *never = calloc(1, sizeof *never);
  CHECK_INT(rstream_packets_read_start(packets, not_read, never), 0);
  CHECK_INT(rstream_packets_on_drain(packets, not_drained, never), 0);
  CHECK_INT(rstream_packets_read_start(silent, not_read, never), 0);
  CHECK_INT(rstream_packets_on_drain(silent, not_drained, never), 0);
  CHECK_INT(rstream_client_close(patient, on_client_closed, &client_closed), 0);
  CHECK_INT(rstream_packets_close(packets, set_flag, &packets_closed), 0);
  CHECK_INT(rstream_packets_close(silent, NULL, NULL), 0);
  free(never);
  run_until(world.loop, &client_closed);
  CHECK(packets_closed);
  world_end(&world);
  return 0;
}
