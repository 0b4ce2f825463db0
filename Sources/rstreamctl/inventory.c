/* SPDX-License-Identifier: Apache-2.0 */
/* Lists tunnels and clients. */
#include "inventory.h"

#include <stdlib.h>
#include <string.h>

#include "client_options.h"
#include "output.h"
#include "session.h"

typedef struct list_values {
  session_t session; /* the first member: the session's callbacks find the rest by it */
  rstream_client *client;
  rstream_filters *filters;
  size_t limit;
  bool json;
  const struct column *columns;
  const char *nothing;
} list_values;

/* A column of the table: a property, or where a tunnel is reached. */
typedef struct column {
  const char *title;
  const char *property; /* NULL: the forwarding address */
} column_t;

int filter_set(rstream_filters *filters, const char *name, const char *value) {
  rstream_error *error = NULL;
  return rstream_filters_set(filters, name, value, &error) == 0 ? 0 : fail_with(error, EXIT_USAGE);
}

int filter_label(rstream_filters *filters, const char *text) {
  rstream_error *error = NULL;
  const char *equals = strchr(text, '=');
  if (!equals) return rstream_filters_require_label(filters, text, &error) == 0 ? 0 : fail_with(error, EXIT_USAGE);
  const char prefix[] = "labels.";
  size_t length = (size_t)(equals - text);
  char *name = malloc(sizeof prefix + length);
  if (!name) return EXIT_OTHER;
  memcpy(name, prefix, sizeof prefix - 1);
  memcpy(name + sizeof prefix - 1, text, length);
  name[sizeof prefix - 1 + length] = '\0';
  int status = filter_set(filters, name, equals + 1);
  free(name);
  return status;
}

static int set_filter(void *values, const option_t *option, const char *value) {
  return filter_set(((list_values *)values)->filters, option->setting, value);
}

static int set_label(void *values, const option_t *option, const char *value) {
  (void)option;
  return filter_label(((list_values *)values)->filters, value);
}

static int set_limit(void *values, const option_t *option, const char *value) {
  char *end = NULL;
  unsigned long limit = strtoul(value, &end, 10);
  if (*value < '0' || *value > '9' || *end != '\0' || limit == 0) {
    complain("%s takes a number from 1", option->name);
    return EXIT_USAGE;
  }
  ((list_values *)values)->limit = limit;
  return 0;
}

static int set_json(void *values, const option_t *option, const char *value) {
  (void)option, (void)value;
  ((list_values *)values)->json = true;
  return 0;
}

static const option_t tunnel_options[] = {
    {"--id", "ID", "the tunnel with this id", set_filter, "id"},
    {"--name", "NAME", "tunnels with this name", set_filter, "name"},
    {"--type", "TYPE", "bytestream or datagram", set_filter, "type"},
    {"--status", "STATUS", "online or offline", set_filter, "status"},
    {"--client-id", "ID", "tunnels of this client", set_filter, "client_id"},
    {"--user-id", "ID", "tunnels of this user", set_filter, "user_id"},
    {"--protocol", "PROTOCOL", "http, tls, tcp, dtls, quic or webtty", set_filter, "protocol"},
    {"--hostname", "HOSTNAME", "the tunnel with this host name", set_filter, "hostname"},
    {"--publish", "true|false", "published tunnels, or private ones", set_filter, "publish"},
    {"--http-version", "VERSION", "http/1.1, h2, h2c or h3", set_filter, "http_version"},
    {"--label", "KEY[=VALUE]", "tunnels with this label; all that are given", set_label, NULL},
    {"--limit", "N", "no more than so many", set_limit, NULL},
    {"--json", NULL, "one JSON array on one line", set_json, NULL},
    {0},
};

static const option_t client_filter_options[] = {
    {"--id", "ID", "the client with this id", set_filter, "id"},
    {"--status", "STATUS", "online or offline", set_filter, "status"},
    {"--user-id", "ID", "clients of this user", set_filter, "user_id"},
    {"--agent", "AGENT", "clients of this program", set_filter, "agent"},
    {"--channel", "CHANNEL", "clients of this release channel", set_filter, "channel"},
    {"--version", "VERSION", "clients of this version", set_filter, "version"},
    {"--os", "OS", "clients on this system", set_filter, "os"},
    {"--arch", "ARCH", "clients on this kind of machine", set_filter, "arch"},
    {"--protocol-version", "VERSION", "clients that speak this version", set_filter, "protocol_version"},
    {"--label", "KEY[=VALUE]", "clients with this label; all that are given", set_label, NULL},
    {"--limit", "N", "no more than so many", set_limit, NULL},
    {"--json", NULL, "one JSON array on one line", set_json, NULL},
    {0},
};

static const column_t tunnel_columns[] = {
    {"ID", "id"}, {"NAME", "name"}, {"PROTOCOL", "protocol"}, {"CLIENT", "client_id"}, {"ADDRESS", NULL}, {0},
};

static const column_t client_columns[] = {
    {"ID", "id"},           {"AGENT", "agent"},
    {"VERSION", "version"}, {"OS", "os"},
    {"ARCH", "arch"},       {"PROTOCOL", "protocol_version"},
    {"USER", "user_id"},    {0},
};

static const char *cell(const rstream_inventory *inventory, size_t row, const column_t *column) {
  const char *text = column->property ? rstream_inventory_property(inventory, row, column->property)
                                      : rstream_inventory_forwarding_address(inventory, row);
  return text ? text : "-";
}

/* Characters of a UTF-8 text. */
static int characters(const char *text) {
  int count = 0;
  for (; *text; text++) count += ((unsigned char)*text & 0xC0) != 0x80;
  return count;
}

static void print_cell(const char *text, int width, bool is_last) {
  print_text(stdout, text);
  if (is_last) {
    putchar('\n');
  } else {
    printf("%*s", width - characters(text) + 2, "");
  }
}

static void print_table(const rstream_inventory *inventory, const column_t *columns) {
  int widths[8] = {0};
  size_t count = rstream_inventory_count(inventory);
  for (int i = 0; columns[i].title; i++) {
    widths[i] = characters(columns[i].title);
    for (size_t row = 0; row < count; row++) {
      int width = characters(cell(inventory, row, &columns[i]));
      if (width > widths[i]) widths[i] = width;
    }
  }
  for (int i = 0; columns[i].title; i++) print_cell(columns[i].title, widths[i], !columns[i + 1].title);
  for (size_t row = 0; row < count; row++) {
    for (int i = 0; columns[i].title; i++) {
      print_cell(cell(inventory, row, &columns[i]), widths[i], !columns[i + 1].title);
    }
  }
}

static void on_inventory(rstream_inventory *inventory, const rstream_error *error, void *data) {
  list_values *values = data;
  if (error) {
    if (!values->session.is_ending) complain_about(error);
    session_end(&values->session, exit_code_for(error));
    return;
  }
  if (values->json) {
    puts(rstream_inventory_json(inventory));
  } else if (rstream_inventory_count(inventory) == 0) {
    fprintf(stderr, "%s\n", values->nothing);
  } else {
    print_table(inventory, values->columns);
  }
  rstream_inventory_free(inventory);
  session_end(&values->session, fflush(stdout) == 0 ? EXIT_OK : EXIT_OTHER);
}

static int list(list_values *values, rstream_config *config, int resource) {
  int status = session_open(&values->session);
  if (status != 0) return status;
  rstream_error *error = NULL;
  status = client_make(&values->session, config, &values->client, &error);
  rstream_error_free(error);
  if (status == 0) {
    int code = resource == RSTREAM_TUNNELS
                   ? rstream_client_list_tunnels(values->client, values->filters, values->limit, on_inventory, values)
                   : rstream_client_list_clients(values->client, values->filters, values->limit, on_inventory, values);
    if (code != 0) {
      complain("cannot ask for the list: %s", rstream_strerror(code));
      status = EXIT_OTHER;
    }
  }
  if (status != 0) session_end(&values->session, status);
  return session_run(&values->session);
}

static int run(const command_t *self, int argc, char **argv, list_values *values, int resource) {
  rstream_config *config = NULL;
  if (rstream_config_new(&config) != 0 || rstream_filters_new(resource, &values->filters) != 0) return EXIT_OTHER;
  command_line line = options_read(self, argc, argv, values, config);
  int status = line.is_done ? line.exit_code : list(values, config, resource);
  rstream_filters_free(values->filters);
  rstream_config_free(config);
  return status;
}

static int run_tunnels(const command_t *self, int argc, char **argv) {
  list_values values = {.columns = tunnel_columns, .nothing = "no such tunnel is online"};
  return run(self, argc, argv, &values, RSTREAM_TUNNELS);
}

static int run_clients(const command_t *self, int argc, char **argv) {
  list_values values = {.columns = client_columns, .nothing = "no such client is connected"};
  return run(self, argc, argv, &values, RSTREAM_CLIENTS);
}

const command_t tunnels_command = {
    .name = "tunnels",
    .summary = "list the tunnels that are online",
    .about = "Lists the tunnels that are online at the engine, the newest first. All conditions given have to hold.",
    .examples =
        "  rstreamctl tunnels --engine edge.example.com\n"
        "  rstreamctl tunnels --protocol http --label team=edge --label owner\n"
        "  rstreamctl tunnels --name web --json | jq -r '.[].hostname'\n",
    .options = tunnel_options,
    .more_options = client_options,
    .run = run_tunnels,
};

const command_t clients_command = {
    .name = "clients",
    .summary = "list the clients that are connected",
    .about = "Lists the clients that are connected to the engine. All conditions given have to hold.",
    .examples =
        "  rstreamctl clients --engine edge.example.com\n"
        "  rstreamctl clients --agent librstream --json\n",
    .options = client_filter_options,
    .more_options = client_options,
    .run = run_clients,
};
