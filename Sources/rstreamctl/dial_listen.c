/* SPDX-License-Identifier: Apache-2.0 */
/* A local port whose connections each become a stream. */
#include <stdlib.h>

#include "address.h"
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

static void say_closed(const connection_t *connection, const char *error) {
  const dial_counts counts = {.bytes_in = connection->pump.bytes_in, .bytes_out = connection->pump.bytes_out};
  dial_say_closed(connection->port->values, connection->peer, &counts, error);
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
  dial_say_opened(connection->port->values, connection->peer);
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
      address_text((struct sockaddr *)&address, connection->peer, sizeof connection->peer);
    }
    status = rstream_client_dial(port->values->client, port->values->target, on_dial, connection);
    connection->is_dialing = status == 0;
  }
  if (status != 0) {
    complain("%s: %s", connection->peer, rstream_strerror(status));
    local_reset(&connection->local);
  }
}

static void say_listening(const port_t *port) {
  struct sockaddr_storage address;
  int length = sizeof address;
  bool is_known = uv_tcp_getsockname(&port->listener, (struct sockaddr *)&address, &length) == 0;
  dial_say_listening(port->values, is_known ? (struct sockaddr *)&address : NULL, "");
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
  if (status == 0) status = address_read(&values->session.uv, values->listen_address, SOCK_STREAM, &address);
  if (status == 0) status = uv_tcp_bind(&port.listener, (struct sockaddr *)&address, 0);
  if (status == 0) status = uv_listen((uv_stream_t *)&port.listener, 512, on_connection);
  if (status == 0) {
    say_listening(&port);
  } else {
    dial_cannot_listen(values, status);
  }
  return session_run(&values->session);
}
