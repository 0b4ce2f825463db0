/* SPDX-License-Identifier: Apache-2.0 */
/* A local UDP port: every local program that sends to it gets a packet channel of its own. */
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "command.h"
#include "dial.h"
#include "output.h"

enum {
  PEERS = 1024,   /* at once: UDP does not tell when one is done */
  BUCKETS = 1024, /* of the table that finds them */
  WAITING = 64,   /* packets of one that wait while its channel is dialed */
  PAUSE = 1000,   /* milliseconds until a peer whose channel did not come about is dialed for again */
  SOCKET_BUFFER = 1 << 20
};

typedef struct piece {
  struct piece *next;
  size_t count;
  uint8_t bytes[];
} piece_t;

typedef struct peer {
  struct peer *next; /* in its bucket */
  struct udp_port *port;
  struct sockaddr_storage address;
  char text[64];
  rstream_packets *packets;
  piece_t *first, *last; /* what waits for the channel */
  size_t waiting;
  bool is_dialing, is_over;
  uint64_t last_packet, over_since;
  dial_counts counts;
} peer_t;

typedef struct udp_port {
  dial_values *values;
  uv_udp_t socket;
  uv_timer_t timer;
  peer_t *buckets[BUCKETS];
  size_t count;
  bool has_complained;
  char buffer[65536];
} udp_port_t;

static unsigned port_of(const struct sockaddr *address) {
  return address->sa_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port
                                        : ((const struct sockaddr_in *)address)->sin_port;
}

static peer_t **bucket_of(udp_port_t *port, const struct sockaddr *address) {
  unsigned number = ntohs((uint16_t)port_of(address));
  return &port->buckets[number % BUCKETS];
}

static bool is_same(const struct sockaddr *a, const struct sockaddr *b) {
  if (a->sa_family != b->sa_family || port_of(a) != port_of(b)) return false;
  if (a->sa_family == AF_INET6) {
    const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *)a, *b6 = (const struct sockaddr_in6 *)b;
    return a6->sin6_scope_id == b6->sin6_scope_id && memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0;
  }
  return ((const struct sockaddr_in *)a)->sin_addr.s_addr == ((const struct sockaddr_in *)b)->sin_addr.s_addr;
}

static void drop_waiting(peer_t *peer) {
  while (peer->first) {
    piece_t *piece = peer->first;
    peer->first = piece->next;
    free(piece);
  }
  peer->waiting = 0;
}

/* The channel of a peer is over. Its place is given back by the timer, so that a tunnel which is not there is not dialed
 * for every packet. */
static void end(peer_t *peer, const char *error) {
  if (peer->is_over) return;
  dial_say_closed(peer->port->values, peer->text, &peer->counts, error);
  peer->is_over = true;
  peer->over_since = uv_now(&peer->port->values->session.uv);
  if (peer->packets) rstream_packets_close(peer->packets, NULL, NULL);
  peer->packets = NULL;
  drop_waiting(peer);
}

static void forget(udp_port_t *port, peer_t **link) {
  peer_t *peer = *link;
  *link = peer->next;
  port->count--;
  drop_waiting(peer);
  free(peer);
}

static void send_on(peer_t *peer, const void *bytes, size_t count) {
  if (rstream_packets_send(peer->packets, bytes, count, NULL) == 0) {
    peer->counts.bytes_in += count;
  } else {
    peer->counts.dropped++;
  }
}

static void on_packet(rstream_packets *packets, const uint8_t *packet, size_t len, const rstream_error *error,
                      void *data) {
  peer_t *peer = data;
  (void)packets;
  if (peer->port->values->session.is_ending || peer->is_over) return;
  if (!packet) {
    end(peer, rstream_error_message(error));
    return;
  }
  uv_buf_t buf = uv_buf_init((char *)packet, (unsigned)len);
  peer->last_packet = uv_now(&peer->port->values->session.uv);
  if (uv_udp_try_send(&peer->port->socket, &buf, 1, (struct sockaddr *)&peer->address) < 0) {
    peer->counts.dropped++;
  } else {
    peer->counts.bytes_out += len;
  }
}

static void on_dial(rstream_packets *packets, const rstream_error *error, void *data) {
  peer_t *peer = data;
  peer->is_dialing = false;
  if (peer->port->values->session.is_ending) return;
  if (error) {
    end(peer, rstream_error_message(error));
    return;
  }
  peer->packets = packets;
  dial_say_opened(peer->port->values, peer->text);
  for (piece_t *piece = peer->first; piece; piece = piece->next) send_on(peer, piece->bytes, piece->count);
  drop_waiting(peer);
  rstream_packets_read_start(packets, on_packet, peer);
}

static void dial(peer_t *peer) {
  int status = rstream_client_dial_packets(peer->port->values->client, peer->port->values->target, on_dial, peer);
  peer->is_dialing = status == 0;
  if (status != 0) end(peer, rstream_strerror(status));
}

static peer_t *find(udp_port_t *port, const struct sockaddr *address) {
  peer_t *peer = *bucket_of(port, address);
  while (peer && !is_same((struct sockaddr *)&peer->address, address)) peer = peer->next;
  return peer;
}

static peer_t *make(udp_port_t *port, const struct sockaddr *address) {
  if (port->count == PEERS) {
    if (!port->has_complained) complain("packets of more than %d local peers: dropping the rest", PEERS);
    port->has_complained = true;
    return NULL;
  }
  peer_t *peer = calloc(1, sizeof *peer), **bucket = bucket_of(port, address);
  if (!peer) return NULL;
  peer->port = port;
  memcpy(&peer->address, address,
         address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
  address_text(address, peer->text, sizeof peer->text);
  peer->next = *bucket;
  *bucket = peer;
  port->count++;
  dial(peer);
  return peer;
}

/* Keeps a packet for the channel that is being dialed. */
static void keep(peer_t *peer, const void *bytes, size_t count) {
  piece_t *piece = peer->waiting < WAITING ? malloc(sizeof *piece + count) : NULL;
  if (!piece) {
    peer->counts.dropped++;
    return;
  }
  piece->next = NULL;
  piece->count = count;
  memcpy(piece->bytes, bytes, count);
  if (peer->first) {
    peer->last->next = piece;
  } else {
    peer->first = piece;
  }
  peer->last = piece;
  peer->waiting++;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  udp_port_t *port = handle->data;
  (void)suggested;
  *buf = uv_buf_init(port->buffer, sizeof port->buffer);
}

static void on_receive(uv_udp_t *socket, ssize_t count, const uv_buf_t *buf, const struct sockaddr *address,
                       unsigned flags) {
  udp_port_t *port = socket->data;
  (void)flags;
  /* Without an address there was nothing; an error is that of an earlier packet. */
  if (count < 0 || !address || port->values->session.is_ending) return;
  peer_t *peer = find(port, address);
  if (!peer) {
    peer = make(port, address);
  } else if (peer->is_over && peer->counts.bytes_out > 0 && !peer->is_dialing) {
    /* The tunnel is there: a new channel goes on where the last one ended. */
    peer->is_over = false;
    peer->counts = (dial_counts){0};
    dial(peer);
  }
  if (!peer || peer->is_over) return;
  peer->last_packet = uv_now(&port->values->session.uv);
  if (peer->packets) {
    send_on(peer, buf->base, (size_t)count);
  } else {
    keep(peer, buf->base, (size_t)count);
  }
}

static void on_timer(uv_timer_t *timer) {
  udp_port_t *port = timer->data;
  uint64_t now = uv_now(&port->values->session.uv), idle = (uint64_t)port->values->idle_seconds * 1000;
  for (size_t i = 0; i < BUCKETS; i++) {
    for (peer_t **link = &port->buckets[i]; *link;) {
      peer_t *peer = *link;
      if (peer->packets && now - peer->last_packet >= idle) end(peer, NULL);
      if (peer->is_over && !peer->is_dialing && (peer->counts.bytes_out > 0 || now - peer->over_since >= PAUSE)) {
        forget(port, link);
        port->has_complained = false;
      } else {
        link = &peer->next;
      }
    }
  }
}

static void say_listening(const udp_port_t *port) {
  struct sockaddr_storage address;
  int length = sizeof address;
  bool is_known = uv_udp_getsockname(&port->socket, (struct sockaddr *)&address, &length) == 0;
  dial_say_listening(port->values, is_known ? (struct sockaddr *)&address : NULL, " (udp)");
}

static void on_session_end(session_t *session) {
  udp_port_t *port = session->uv.data;
  uv_close((uv_handle_t *)&port->socket, NULL);
  uv_close((uv_handle_t *)&port->timer, NULL);
}

int dial_udp(dial_values *values) {
  udp_port_t *port = calloc(1, sizeof *port);
  struct sockaddr_storage address;
  uv_loop_t *uv = &values->session.uv;
  if (!port) return EXIT_OTHER;
  port->values = values;
  uv->data = port;
  values->session.on_end = on_session_end;
  uv_timer_init(uv, &port->timer);
  port->timer.data = port;
  int status = uv_udp_init(uv, &port->socket);
  port->socket.data = port;
  if (status == 0) status = address_read(uv, values->listen_address, SOCK_DGRAM, &address);
  if (status == 0) status = uv_udp_bind(&port->socket, (struct sockaddr *)&address, 0);
  if (status == 0) {
    int size = SOCKET_BUFFER;
    uv_recv_buffer_size((uv_handle_t *)&port->socket, &size);
    size = SOCKET_BUFFER;
    uv_send_buffer_size((uv_handle_t *)&port->socket, &size);
    status = uv_udp_recv_start(&port->socket, on_alloc, on_receive);
  }
  if (status == 0) {
    uv_timer_start(&port->timer, on_timer, PAUSE / 4, PAUSE / 4);
    say_listening(port);
  } else {
    dial_cannot_listen(values, status);
  }
  status = session_run(&values->session);
  for (size_t i = 0; i < BUCKETS; i++) {
    while (port->buckets[i]) forget(port, &port->buckets[i]);
  }
  free(port);
  return status;
}
