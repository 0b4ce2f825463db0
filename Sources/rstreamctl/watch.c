/* SPDX-License-Identifier: Apache-2.0 */
/* Watches tunnels and clients come and go. */
#include <stdlib.h>
#include <string.h>

#include "client_options.h"
#include "inventory.h"
#include "output.h"
#include "session.h"

typedef struct watch_values {
  session_t session; /* the first member: the session's callbacks find the rest by it */
  rstream_client *client;
  rstream_filters *tunnels, *clients;
  int flags;
  bool json;
  bool was_online;
} watch_values;

/* NAME=VALUE, or labels.KEY alone for any value. */
static int set_filter(rstream_filters *filters, const option_t *option, const char *text) {
  const char prefix[] = "labels.";
  if (strncmp(text, prefix, sizeof prefix - 1) == 0) return filter_label(filters, text + sizeof prefix - 1);
  char *name = NULL;
  const char *value = NULL;
  int status = options_split(option, text, &name, &value);
  if (status == 0) status = filter_set(filters, name, value);
  free(name);
  return status;
}

static int set_tunnels(void *values, const option_t *option, const char *value) {
  return set_filter(((watch_values *)values)->tunnels, option, value);
}

static int set_clients(void *values, const option_t *option, const char *value) {
  return set_filter(((watch_values *)values)->clients, option, value);
}

static int set_reconnect(void *values, const option_t *option, const char *value) {
  (void)option, (void)value;
  ((watch_values *)values)->flags |= RSTREAM_WATCH_RECONNECT;
  return 0;
}

static int set_websocket(void *values, const option_t *option, const char *value) {
  (void)option, (void)value;
  ((watch_values *)values)->flags |= RSTREAM_WATCH_WEBSOCKET;
  return 0;
}

static int set_json(void *values, const option_t *option, const char *value) {
  (void)option, (void)value;
  ((watch_values *)values)->json = true;
  return 0;
}

static const option_t options[] = {
    {"--tunnels", "NAME=VALUE", "only tunnels with this property; labels.KEY asks for any value", set_tunnels, NULL},
    {"--clients", "NAME=VALUE", "only clients with this property; labels.KEY asks for any value", set_clients, NULL},
    {"--reconnect", NULL, "connect again when the connection is lost", set_reconnect, NULL},
    {"--websocket", NULL, "over WebSocket instead of server-sent events", set_websocket, NULL},
    {"--json", NULL, "each event as one line of JSON", set_json, NULL},
    {0},
};

static void print_field(const char *text) {
  fputs("  ", stdout);
  print_text(stdout, text ? text : "-");
}

/* A line for each tunnel or client that an event is about. */
static void print_items(const char *change, const rstream_event *event, int resource) {
  const rstream_inventory *inventory = rstream_event_inventory(event, resource);
  for (size_t i = 0; i < rstream_inventory_count(inventory); i++) {
    printf("%-8s %s", change, resource == RSTREAM_TUNNELS ? "tunnel" : "client");
    print_field(rstream_inventory_property(inventory, i, "id"));
    if (resource == RSTREAM_TUNNELS) {
      print_field(rstream_inventory_property(inventory, i, "name"));
      print_field(rstream_inventory_forwarding_address(inventory, i));
    } else {
      print_field(rstream_inventory_property(inventory, i, "agent"));
      print_field(rstream_inventory_property(inventory, i, "version"));
    }
    putchar('\n');
  }
}

static void on_event(rstream_watch *watch, const rstream_event *event, void *data) {
  watch_values *values = data;
  (void)watch;
  const char *type = rstream_event_type(event);
  bool is_snapshot = strcmp(type, "state.initial") == 0;
  if (values->json) {
    puts(rstream_event_json(event));
  } else {
    const char *change = is_snapshot ? "online" : strchr(type, '.');
    if (change && *change == '.') change++;
    if (is_snapshot) puts(values->was_online ? "-- connected again" : "-- connected");
    print_items(change ? change : type, event, RSTREAM_CLIENTS);
    print_items(change ? change : type, event, RSTREAM_TUNNELS);
  }
  values->was_online = true;
  if (fflush(stdout) != 0) session_end(&values->session, EXIT_OTHER);
}

static void on_end(rstream_watch *watch, const rstream_error *error, void *data) {
  watch_values *values = data;
  (void)watch;
  if (values->session.is_ending) return;
  if (!error) {
    complain("the engine has ended the watch");
  } else {
    complain_about(error);
    if (values->json) json_offline(stdout, error, 0, NULL);
  }
  int code = !error ? EXIT_OK : exit_code_for(error);
  if (values->was_online && code == EXIT_UNREACHABLE) code = EXIT_LOST;
  session_end(&values->session, code);
}

static int watch(watch_values *values, rstream_config *config) {
  int status = session_open(&values->session);
  if (status != 0) return status;
  rstream_error *error = NULL;
  rstream_watch *handle = NULL;
  status = client_make(&values->session, config, &values->client, &error);
  rstream_error_free(error);
  if (status == 0) {
    int code = rstream_client_watch(values->client, values->tunnels, values->clients, values->flags, &handle, on_event,
                                    values);
    if (code == 0) code = rstream_watch_on_end(handle, on_end, values);
    if (code != 0) {
      complain("cannot watch: %s", rstream_strerror(code));
      status = EXIT_OTHER;
    }
  }
  if (status != 0) session_end(&values->session, status);
  return session_run(&values->session);
}

static int run(const command_t *self, int argc, char **argv) {
  watch_values values = {0};
  rstream_config *config = NULL;
  if (rstream_config_new(&config) != 0 || rstream_filters_new(RSTREAM_TUNNELS, &values.tunnels) != 0 ||
      rstream_filters_new(RSTREAM_CLIENTS, &values.clients) != 0) {
    return EXIT_OTHER;
  }
  command_line line = options_read(self, argc, argv, &values, config);
  int status = line.is_done ? line.exit_code : watch(&values, config);
  rstream_filters_free(values.tunnels);
  rstream_filters_free(values.clients);
  rstream_config_free(config);
  return status;
}

const command_t watch_command = {
    .name = "watch",
    .summary = "watch tunnels and clients come and go",
    .about =
        "Says which tunnels and clients are online at the engine, and then which come and go, until SIGINT or "
        "SIGTERM.\n"
        "All conditions given have to hold.",
    .examples =
        "  rstreamctl watch --engine edge.example.com\n"
        "  rstreamctl watch --tunnels protocol=http --tunnels labels.team --reconnect --json\n",
    .options = options,
    .more_options = client_options,
    .run = run,
};
