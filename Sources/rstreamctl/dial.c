/* SPDX-License-Identifier: Apache-2.0 */
/* Reaches a private tunnel. */
#include "dial.h"

#include <stdlib.h>

#include "client_options.h"
#include "command.h"
#include "output.h"

static int set_listen(void *values, const option_t *option, const char *value) {
  (void)option;
  ((dial_values *)values)->listen_address = value;
  return 0;
}

static int set_udp(void *values, const option_t *option, const char *value) {
  (void)option, (void)value;
  ((dial_values *)values)->udp = true;
  return 0;
}

static int set_idle(void *values, const option_t *option, const char *value) {
  char *end = NULL;
  long seconds = strtol(value, &end, 10);
  if (end == value || *end != '\0' || seconds < 1 || seconds > 86400) {
    complain("%s takes a number of seconds from 1 to 86400", option->name);
    return EXIT_USAGE;
  }
  ((dial_values *)values)->idle_seconds = (unsigned)seconds;
  return 0;
}

static int set_json(void *values, const option_t *option, const char *value) {
  (void)option, (void)value;
  ((dial_values *)values)->json = true;
  return 0;
}

static const option_t options[] = {
    {"--listen", "[HOST:]PORT", "carry the connections to a local port; 0 is a free one", set_listen, NULL},
    {"--udp", NULL, "the local port of --listen is a UDP port, for a datagram tunnel", set_udp, NULL},
    {"--idle", "SECONDS", "with --udp: ends the channel of a local peer without packets (120)", set_idle, NULL},
    {"--json", NULL, "lines of JSON: on standard output with --listen, else for errors", set_json, NULL},
    {0},
};

static int dial(dial_values *values, rstream_config *config) {
  /* Alone, a stream that ends at once says too little: the engine's answer is worth waiting for. */
  if (!values->listen_address && !rstream_config_get(config, "zeroRtt")) {
    rstream_config_set(config, "zeroRtt", "false", NULL);
  }
  rstream_error *error = NULL;
  int status = session_open(&values->session);
  if (status != 0) return status;
  status = client_make(&values->session, config, &values->client, &error);
  if (status == 0 && values->udp) return dial_udp(values);
  if (status == 0) return values->listen_address ? dial_listen(values) : dial_standard(values);
  if (values->json) json_offline(values->listen_address ? stdout : stderr, error, 0, NULL);
  rstream_error_free(error);
  session_end(&values->session, status);
  return session_run(&values->session);
}

static int run(const command_t *self, int argc, char **argv) {
  dial_values values = {.idle_seconds = 120};
  rstream_config *config = NULL;
  if (rstream_config_new(&config) != 0) return EXIT_OTHER;
  command_line line = options_read(self, argc, argv, &values, config);
  values.target = line.positional;
  if (!line.is_done && values.udp && !values.listen_address) {
    complain("--udp needs --listen");
    line = (command_line){.is_done = true, .exit_code = options_usage_error(self)};
  }
  int status = line.is_done ? line.exit_code : dial(&values, config);
  rstream_config_free(config);
  return status;
}

const command_t dial_command = {
    .name = "dial",
    .summary = "reach a private tunnel",
    .positional = "<name or id>",
    .positional_help = "the tunnel's name or id",
    .about =
        "Reaches a private tunnel by its name or id: with standard input and output until both directions have ended,\n"
        "or, with --listen, for each connection to a local port until SIGINT or SIGTERM. A datagram tunnel is reached\n"
        "through a local UDP port, where each local peer has a packet channel of its own: --udp --listen.",
    .examples =
        "  printf 'hello' | rstreamctl dial echo --engine edge.example.com\n"
        "  rstreamctl dial database --listen 5432\n"
        "  rstreamctl dial resolver --udp --listen 5353\n"
        "  ssh -o ProxyCommand='rstreamctl dial %h' build-machine\n",
    .options = options,
    .more_options = client_options,
    .run = run,
};
