/* SPDX-License-Identifier: Apache-2.0 */
/* Publishes a local service: a tunnel whose streams are connected to it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client_options.h"
#include "command.h"
#include "output.h"
#include "session.h"

typedef struct forward_values {
  session_t session;
  rstream_tunnel_options *options;
  rstream_client *client;
  const char *target;
  char *alpns;
  bool has_protocol;
  bool has_publish;
  bool is_private;
  bool is_udp;
  bool is_online;
  bool json;
} forward_values;

static int set(forward_values *values, const char *name, const char *value) {
  rstream_error *error = NULL;
  if (rstream_tunnel_options_set(values->options, name, value, &error) == 0) return 0;
  return fail_with(error, EXIT_REFUSED);
}

static int set_property(void *values, const option_t *option, const char *value) {
  return set(values, option->setting, value);
}

static int set_protocol(void *values, const option_t *option, const char *value) {
  ((forward_values *)values)->has_protocol = true;
  return set(values, option->setting, value);
}

static int set_private(void *values, const option_t *option, const char *value) {
  (void)value;
  ((forward_values *)values)->is_private = true;
  return set(values, option->setting, "false");
}

static int set_true(void *values, const option_t *option, const char *value) {
  (void)value;
  return set(values, option->setting, "true");
}

static int set_udp(void *values, const option_t *option, const char *value) {
  (void)value;
  ((forward_values *)values)->is_udp = true;
  return set(values, option->setting, "datagram");
}

static int set_label(void *values, const option_t *option, const char *text) {
  char *key = NULL, *name = NULL;
  const char *value = NULL;
  int status = options_split(option, text, &key, &value);
  if (status == 0) {
    size_t size = strlen(key) + sizeof "labels.";
    name = malloc(size);
    if (name) snprintf(name, size, "labels.%s", key);
    status = name ? set(values, name, value) : EXIT_OTHER;
  }
  free(name);
  free(key);
  return status;
}

/* Collects what is given several times into a list. */
static int add_alpn(void *target, const option_t *option, const char *value) {
  forward_values *values = target;
  size_t size = (values->alpns ? strlen(values->alpns) + 1 : 0) + strlen(value) + 1;
  char *list = malloc(size);
  if (!list) return EXIT_OTHER;
  snprintf(list, size, "%s%s%s", values->alpns ? values->alpns : "", values->alpns ? "," : "", value);
  free(values->alpns);
  values->alpns = list;
  return set(values, option->setting, list);
}

static int set_named(void *values, const option_t *option, const char *text) {
  char *name = NULL;
  const char *value = NULL;
  int status = options_split(option, text, &name, &value);
  forward_values *forward = values;
  if (status == 0) status = set(forward, name, value);
  if (status == 0 && strcmp(name, "protocol") == 0) forward->has_protocol = true;
  if (status == 0 && strcmp(name, "publish") == 0) {
    forward->has_publish = true;
    forward->is_private = strcmp(value, "false") == 0;
  }
  free(name);
  return status;
}

static int set_json(void *values, const option_t *option, const char *value) {
  (void)option, (void)value;
  ((forward_values *)values)->json = true;
  return 0;
}

static const option_t options[] = {
    {"--name", "NAME", "name to dial a private tunnel by", set_property, "name"},
    {"--protocol", "PROTOCOL", "http, tls, tcp, dtls or quic (http, unless --no-publish)", set_protocol, "protocol"},
    {"--no-publish", NULL, "private: reached by dialing only", set_private, "publish"},
    {"--udp", NULL, "the local service is a UDP one; private, unless --protocol", set_udp, "type"},
    {"--label", "KEY=VALUE", "a label; may be given several times", set_label, NULL},
    {"--hostname", "NAME", "host name asked for", set_property, "hostname"},
    {"--port", "N", "published TCP port asked for", set_property, "port"},
    {"--http-version", "VERSION", "spoken to the local service: http/1.1", set_property, "http_version"},
    {"--tls-mode", "MODE", "terminated or passthrough", set_property, "tls_mode"},
    {"--tls-alpn", "PROTOCOL", "ALPN of the endpoint; may be given several times", add_alpn, "tls_alpns"},
    {"--upstream-tls", NULL, "the local service speaks TLS", set_true, "upstream_tls"},
    {"--property", "NAME=VALUE", "any property of <rstream/tunnel.h>", set_named, NULL},
    {"--json", NULL, "lines of JSON on standard output", set_json, NULL},
    {0},
};

static void end_with(forward_values *values, int exit_code) {
  session_end(&values->session, values->is_online ? EXIT_LOST : exit_code);
}

static void fail(forward_values *values, const rstream_error *error) {
  if (values->session.is_ending) return;
  if (values->json) json_offline(stdout, error, 0, NULL);
  complain_about(error);
  end_with(values, exit_code_for(error));
}

/* Ends with a code where there is no error that says more. */
static void fail_with_code(forward_values *values, int code, const char *text) {
  if (values->session.is_ending) return;
  if (values->json) json_offline(stdout, NULL, code, text);
  complain("%s", text);
  end_with(values, EXIT_OTHER);
}

static void say_online(const forward_values *values, const rstream_tunnel *tunnel) {
  const char *address = rstream_tunnel_forwarding_address(tunnel);
  if (values->json) {
    const char *port = rstream_tunnel_property(tunnel, "port");
    json_line line = json_begin(stdout);
    json_string(&line, "status", "online");
    json_string(&line, "forwarding", address);
    json_string(&line, "id", rstream_tunnel_property(tunnel, "id"));
    json_string(&line, "name", rstream_tunnel_property(tunnel, "name"));
    json_string(&line, "host", rstream_tunnel_property(tunnel, "host"));
    json_string(&line, "hostname", rstream_tunnel_property(tunnel, "hostname"));
    if (port) {
      json_number(&line, "port", atoi(port));
    } else {
      json_string(&line, "port", NULL);
    }
    json_end(&line);
    return;
  }
  print_text(stdout, address);
  fputs(" -> ", stdout);
  print_text(stdout, values->target);
  fputs("\nCtrl-C ends the tunnel.\n", stdout);
  fflush(stdout);
}

static void on_forward(rstream_tunnel *tunnel, int event, const char *peer, uint64_t bytes_in, uint64_t bytes_out,
                       const rstream_error *error, void *data) {
  forward_values *values = data;
  (void)tunnel;
  if (values->json) {
    json_line line = json_begin(stdout);
    json_string(&line, "event", event == RSTREAM_FORWARD_OPENED ? "opened" : "closed");
    json_string(&line, "peer", peer);
    if (event == RSTREAM_FORWARD_CLOSED) {
      json_number(&line, "bytes_in", (int64_t)bytes_in);
      json_number(&line, "bytes_out", (int64_t)bytes_out);
      json_string(&line, "error", rstream_error_message(error));
    }
    json_end(&line);
  } else if (event == RSTREAM_FORWARD_CLOSED) {
    print_text(stdout, *peer ? peer : "a connection");
    printf(": %llu bytes in, %llu bytes out%s", (unsigned long long)bytes_in, (unsigned long long)bytes_out,
           error ? ", " : "\n");
    if (error) {
      print_text(stdout, rstream_error_message(error));
      fputc('\n', stdout);
    }
    fflush(stdout);
  }
}

static void on_tunnel_end(rstream_tunnel *tunnel, const rstream_error *error, void *data) {
  (void)tunnel;
  if (error) {
    fail(data, error);
  } else {
    fail_with_code(data, RSTREAM_ETUNNEL_CLOSED, "the engine has ended the tunnel");
  }
}

static void on_control_end(rstream_control *control, const rstream_error *error, void *data) {
  (void)control;
  if (error) {
    fail(data, error);
  } else {
    fail_with_code(data, RSTREAM_ECONTROL_CLOSED, "the engine has closed the control channel");
  }
}

static void on_tunnel(rstream_tunnel *tunnel, const rstream_error *error, void *data) {
  forward_values *values = data;
  rstream_error *refusal = NULL;
  if (error) {
    fail(values, error);
  } else if (rstream_tunnel_forward(tunnel, values->target, on_forward, values, &refusal) != 0) {
    fail(values, refusal);
    rstream_error_free(refusal);
  } else {
    rstream_tunnel_on_end(tunnel, on_tunnel_end, values);
    values->is_online = true;
    say_online(values, tunnel);
  }
}

static void on_control(rstream_control *control, const rstream_error *error, void *data) {
  forward_values *values = data;
  rstream_error *refusal = NULL;
  if (error) {
    fail(values, error);
    return;
  }
  rstream_control_on_end(control, on_control_end, values);
  if (rstream_control_create_tunnel(control, values->options, on_tunnel, values, &refusal) != 0) {
    fail(values, refusal);
    rstream_error_free(refusal);
  }
}

static int connect_and_run(forward_values *values, rstream_config *config) {
  rstream_error *error = NULL;
  int status = session_open(&values->session);
  if (status != 0) return status;
  status = client_make(&values->session, config, &values->client, &error);
  if (status != 0) {
    if (values->json) json_offline(stdout, error, 0, NULL);
    rstream_error_free(error);
    session_end(&values->session, status);
  } else if ((status = rstream_client_connect(values->client, on_control, values)) != 0) {
    fail_with_code(values, status, rstream_strerror(status));
  }
  return session_run(&values->session);
}

static int run(const command_t *self, int argc, char **argv) {
  forward_values values = {0};
  rstream_config *config = NULL;
  int status = EXIT_OTHER;
  if (rstream_tunnel_options_new(&values.options) == 0 && rstream_config_new(&config) == 0) {
    command_line line = options_read(self, argc, argv, &values, config);
    values.target = line.positional;
    status = line.exit_code;
    if (!line.is_done && !values.has_protocol && !values.is_private) {
      if (!values.is_udp) {
        status = set(&values, "protocol", "http");
      } else if (!values.has_publish) {
        status = set(&values, "publish", "false");
      }
    }
    if (!line.is_done && status == 0) status = connect_and_run(&values, config);
  }
  free(values.alpns);
  rstream_config_free(config);
  rstream_tunnel_options_free(values.options);
  return status;
}

const command_t forward_command = {
    .name = "forward",
    .summary = "publish a local service, or offer it for dialing",
    .positional = "<target>",
    .positional_help = "the local service: port, host:port or unix:/path",
    .about =
        "Connects to an engine, makes a tunnel and connects its streams to a local service until SIGINT or SIGTERM.\n"
        "Without --protocol, --no-publish and --udp it is published as http. With --udp the tunnel carries packets: "
        "each\n"
        "packet channel gets a UDP socket of its own, until no packet has come for 120 s.",
    .examples =
        "  rstreamctl forward 8080 --engine edge.example.com\n"
        "  rstreamctl forward 127.0.0.1:22 --protocol tcp --port 30022\n"
        "  rstreamctl forward unix:/run/app.sock --no-publish --name app\n"
        "  rstreamctl forward 53 --udp --name resolver\n",
    .options = options,
    .more_options = client_options,
    .run = run,
};
