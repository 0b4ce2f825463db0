/* SPDX-License-Identifier: Apache-2.0 */
/* Reaches a private tunnel. */
#include "dial.h"

#include "client_options.h"
#include "command.h"
#include "output.h"

static int set_listen(void *values, const option_t *option, const char *value) {
  (void)option;
  ((dial_values *)values)->listen_address = value;
  return 0;
}

static int set_json(void *values, const option_t *option, const char *value) {
  (void)option, (void)value;
  ((dial_values *)values)->json = true;
  return 0;
}

static const option_t options[] = {
    {"--listen", "[HOST:]PORT", "carry the connections to a local TCP port; 0 is a free one", set_listen, NULL},
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
  if (status == 0) return values->listen_address ? dial_listen(values) : dial_standard(values);
  if (values->json) json_offline(values->listen_address ? stdout : stderr, error, 0, NULL);
  rstream_error_free(error);
  session_end(&values->session, status);
  return session_run(&values->session);
}

static int run(const command_t *self, int argc, char **argv) {
  dial_values values = {0};
  rstream_config *config = NULL;
  if (rstream_config_new(&config) != 0) return EXIT_OTHER;
  command_line line = options_read(self, argc, argv, &values, config);
  values.target = line.positional;
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
        "or, with --listen, for each connection to a local port until SIGINT or SIGTERM.",
    .examples =
        "  printf 'hello' | rstreamctl dial echo --engine edge.example.com\n"
        "  rstreamctl dial database --listen 5432\n"
        "  ssh -o ProxyCommand='rstreamctl dial %h' build-machine\n",
    .options = options,
    .more_options = client_options,
    .run = run,
};
