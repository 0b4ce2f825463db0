/* SPDX-License-Identifier: Apache-2.0 */
/* A local port whose connections each become a stream. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "dial.h"
#include "output.h"
#include "pump.h"

typedef struct connection {
  struct connection *previous, *next;
  struct port *port;
  char peer[64];
  local_t local;
  pump_t pump;
  bool is_dialing, is_pumping, is_closed;
} connection_t;

typedef struct port {
  dial_values *values;
  uv_tcp_t listener;
  connection_t *connections;
} port_t;

static void text_of(const struct sockaddr_storage *address, char *text, size_t size) {
  char host[46] = "";
  bool is_v6 = address->ss_family == AF_INET6;
  int number;
  if (is_v6) {
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    uv_ip6_name(v6, host, sizeof host);
    number = ntohs(v6->sin6_port);
  } else {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    uv_ip4_name(v4, host, sizeof host);
    number = ntohs(v4->sin_port);
  }
  snprintf(text, size, is_v6 ? "[%s]:%d" : "%s:%d", host, number);
}

static void say_closed(const connection_t *connection, const char *error) {
  const pump_t *pump = &connection->pump;
  if (connection->port->values->json) {
    json_line line = json_begin(stdout);
    json_string(&line, "event", "closed");
    json_string(&line, "peer", connection->peer);
    json_number(&line, "bytes_in", (int64_t)pump->bytes_in);
    json_number(&line, "bytes_out", (int64_t)pump->bytes_out);
    json_string(&line, "error", error);
    json_end(&line);
  } else if (error) {
    complain("%s: %s", connection->peer, error);
  }
}

static void say_opened(const connection_t *connection) {
  if (!connection->port->values->json) return;
  json_line line = json_begin(stdout);
  json_string(&line, "event", "opened");
  json_string(&line, "peer", connection->peer);
  json_end(&line);
}

static void forget(connection_t *connection) {
  port_t *port = connection->port;
  if (connection->previous) {
    connection->previous->next = connection->next;
  } else {
    port->connections = connection->next;
  }
  if (connection->next) connection->next->previous = connection->previous;
  free(connection);
}

static void on_pump_end(pump_t *pump) {
  connection_t *connection = pump->data;
  say_closed(connection, pump->failed == PUMP_OK || pump->failed == PUMP_CANCELLED ? NULL : pump->failure);
  forget(connection);
}

/* A connection whose stream did not come goes when it is closed and its dial has been answered. */
static void settle(connection_t *connection) {
  if (connection->is_closed && !connection->is_dialing) forget(connection);
}

static void on_refused_closed(local_t *local) {
  connection_t *connection = local->data;
  connection->is_closed = true;
  settle(connection);
}

static void on_dial(rstream_stream *stream, const rstream_error *error, void *data) {
  connection_t *connection = data;
  connection->is_dialing = false;
  if (error || connection->local.is_closing) {
    if (error && !connection->local.is_closing) say_closed(connection, rstream_error_message(error));
    if (stream) rstream_stream_reset(stream, NULL, NULL);
    local_reset(&connection->local);
    settle(connection);
    return;
  }
  say_opened(connection);
  connection->is_pumping = true;
  connection->pump.data = connection;
  connection->pump.on_end = on_pump_end;
  pump_start(&connection->pump, stream, &connection->local, &connection->local);
}

static void on_connection(uv_stream_t *listener, int status) {
  port_t *port = listener->data;
  if (status < 0 || port->values->session.is_ending) return;
  connection_t *connection = calloc(1, sizeof *connection);
  if (!connection) return;
  connection->port = port;
  connection->next = port->connections;
  if (connection->next) connection->next->previous = connection;
  port->connections = connection;
  connection->local.data = connection;
  connection->local.on_closed = on_refused_closed;

  status = local_accept(&connection->local, listener);
  if (status == 0) {
    struct sockaddr_storage address;
    int length = sizeof address;
    if (uv_tcp_getpeername(&connection->local.handle.tcp, (struct sockaddr *)&address, &length) == 0) {
      text_of(&address, connection->peer, sizeof connection->peer);
    }
    status = rstream_client_dial(port->values->client, port->values->target, on_dial, connection);
    connection->is_dialing = status == 0;
  }
  if (status != 0) {
    complain("%s: %s", connection->peer, rstream_strerror(status));
    local_reset(&connection->local);
  }
}

/* Reads "port", ":port", "host:port" or "[v6]:port". Returns 0 or libuv's code. */
static int resolve(uv_loop_t *uv, const char *text, struct sockaddr_storage *address) {
  char host[256] = "127.0.0.1";
  const char *colon = strrchr(text, ':'), *number = colon ? colon + 1 : text;
  if (colon && colon != text) {
    size_t length = (size_t)(colon - text);
    if (text[0] == '[' && colon[-1] == ']') {
      text++;
      length -= 2;
    } else if (memchr(text, ':', length)) {
      return UV_EINVAL;
    }
    if (length >= sizeof host) return UV_EINVAL;
    memcpy(host, text, length);
    host[length] = '\0';
  }
  char *end = NULL;
  long value = strtol(number, &end, 10);
  if (end == number || *end != '\0' || value < 0 || value > 65535 || *number == '+' || *number == '-') return UV_EINVAL;

  uv_getaddrinfo_t request;
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
  int status = uv_getaddrinfo(uv, &request, NULL, host, number, &hints);
  if (status != 0) return status;
  memcpy(address, request.addrinfo->ai_addr, request.addrinfo->ai_addrlen);
  uv_freeaddrinfo(request.addrinfo);
  return 0;
}

static void say_listening(const port_t *port) {
  struct sockaddr_storage address;
  int length = sizeof address;
  char text[64] = "";
  if (uv_tcp_getsockname(&port->listener, (struct sockaddr *)&address, &length) == 0) {
    text_of(&address, text, sizeof text);
  }
  if (port->values->json) {
    json_line line = json_begin(stdout);
    json_string(&line, "event", "listening");
    json_string(&line, "address", text);
    json_end(&line);
  } else {
    printf("%s -> rstrm://", text);
    print_text(stdout, port->values->target);
    fputs("\nCtrl-C ends it.\n", stdout);
    fflush(stdout);
  }
}

static void on_session_end(session_t *session) {
  port_t *port = session->uv.data;
  if (!uv_is_closing((uv_handle_t *)&port->listener)) uv_close((uv_handle_t *)&port->listener, NULL);
  for (connection_t *connection = port->connections; connection; connection = connection->next) {
    if (connection->is_pumping) {
      pump_cancel(&connection->pump);
    } else {
      local_reset(&connection->local);
    }
  }
}

int dial_listen(dial_values *values) {
  port_t port = {.values = values};
  struct sockaddr_storage address;
  values->session.uv.data = &port;
  values->session.on_end = on_session_end;
  int status = uv_tcp_init(&values->session.uv, &port.listener);
  port.listener.data = &port;
  if (status == 0) status = resolve(&values->session.uv, values->listen_address, &address);
  if (status == 0) status = uv_tcp_bind(&port.listener, (struct sockaddr *)&address, 0);
  if (status == 0) status = uv_listen((uv_stream_t *)&port.listener, 512, on_connection);
  if (status == 0) {
    say_listening(&port);
  } else {
    complain("cannot listen on %s: %s", values->listen_address, rstream_strerror(status));
    if (values->json) json_offline(stdout, NULL, status, rstream_strerror(status));
    session_end(&values->session, status == UV_EINVAL ? EXIT_USAGE : EXIT_OTHER);
  }
  return session_run(&values->session);
}
