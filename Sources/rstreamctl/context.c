/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "output.h"

typedef struct values {
  rstream_config *config;
  bool json;
  /* While a list is printed. */
  int count;
} values_t;

static int set_setting(void *values, const option_t *option, const char *value) {
  rstream_error *error = NULL;
  int status = rstream_config_set(((values_t *)values)->config, option->setting, value, &error);
  return status == 0 ? 0 : fail_with(error, EXIT_REFUSED);
}

static int set_json(void *values, const option_t *option, const char *value) {
  (void)option, (void)value;
  ((values_t *)values)->json = true;
  return 0;
}

static const option_t options[] = {
    {"--config", "FILE", "the file (RSTREAM_CONFIG; ~/.rstream/config.yaml)", set_setting, "configFile"},
    {"--api-url", "URL", "the control plane that contexts belong to (RSTREAM_API_URL)", set_setting, "apiUrl"},
    {"--json", NULL, "lines of JSON", set_json, NULL},
    {0},
};

static void print_context(const rstream_context *context, void *data) {
  static const char *const names[] = {"name", "engine", "apiUrl", "projectEndpoint", "region"};
  values_t *values = data;
  bool is_selected = strcmp(rstream_context_get(context, "selected"), "true") == 0;
  values->count++;
  if (values->json) {
    json_line line = json_begin(stdout);
    for (int i = 0; i < 5; i++) json_string(&line, names[i], rstream_context_get(context, names[i]));
    json_flag(&line, "selected", is_selected);
    json_end(&line);
    return;
  }
  const char *engine = rstream_context_get(context, "engine");
  const char *project = rstream_context_get(context, "projectEndpoint");
  const char *api_url = rstream_context_get(context, "apiUrl");
  printf("%c ", is_selected ? '*' : ' ');
  print_text(stdout, rstream_context_get(context, "name"));
  printf("  ");
  print_text(stdout, engine ? engine : project ? project : "-");
  if (api_url) {
    printf("  ");
    print_text(stdout, api_url);
  }
  putchar('\n');
}

static int list(values_t *values) {
  rstream_error *error = NULL;
  if (rstream_config_contexts(values->config, print_context, values, &error) != 0)
    return fail_with(error, EXIT_REFUSED);
  if (values->count == 0 && !values->json) fputs("There are no contexts.\n", stderr);
  return EXIT_OK;
}

/* A value to show: of a secret only that it is there. */
static const char *shown(const rstream_config *config, const char *name) {
  static const char *const secrets[] = {"auth.token",
                                        "auth.mtls.key",
                                        "auth.mtls.certificate",
                                        "transport.proxy.password",
                                        "transport.proxy.username",
                                        "transport.proxy.headers",
                                        "transport.proxy.http",
                                        "transport.proxy.socks5",
                                        "headers"};
  const char *value = rstream_config_get(config, name);
  for (size_t i = 0; value && i < sizeof secrets / sizeof *secrets; i++) {
    if (strcmp(secrets[i], name) == 0) return "(set)";
  }
  return value;
}

static int show(values_t *values, const char *name) {
  static const char *const names[] = {"context",
                                      "apiUrl",
                                      "engine",
                                      "projectEndpoint",
                                      "region",
                                      "auth.token",
                                      "auth.mtls.certificateFile",
                                      "auth.mtls.keyFile",
                                      "auth.mtls.certificate",
                                      "auth.mtls.key",
                                      "auth.mtls.storage.kind",
                                      "transport.mode",
                                      "transport.bind.mode",
                                      "transport.bind.interface",
                                      "transport.bind.address",
                                      "transport.ipFamily",
                                      "transport.dns.override",
                                      "transport.dns.tls",
                                      "transport.dns.serverName",
                                      "transport.dns.dnssec",
                                      "transport.mptcp",
                                      "transport.tls.caFile",
                                      "transport.tls.serverName",
                                      "transport.tls.insecureSkipVerify",
                                      "transport.proxy.http",
                                      "transport.proxy.socks5",
                                      "transport.proxy.username",
                                      "transport.proxy.password",
                                      "transport.proxy.headers",
                                      "transport.proxy.fromEnvironment",
                                      "headers",
                                      "turnDomain",
                                      "turnRealm"};
  rstream_error *error = NULL;
  if (name && rstream_config_set(values->config, "context", name, &error) != 0) return fail_with(error, EXIT_REFUSED);
  if (rstream_config_load(values->config, &error) != 0) return fail_with(error, EXIT_REFUSED);
  json_line line;
  if (values->json) line = json_begin(stdout);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const char *value = shown(values->config, names[i]);
    if (!value) continue;
    if (values->json) {
      json_string(&line, names[i], value);
    } else {
      printf("%s: ", names[i]);
      print_text(stdout, value);
      putchar('\n');
    }
  }
  if (values->json) json_end(&line);
  return EXIT_OK;
}

static int use(values_t *values, const char *name) {
  rstream_error *error = NULL;
  if (rstream_config_use_context(values->config, name, &error) != 0) return fail_with(error, EXIT_REFUSED);
  if (!values->json) {
    fputs("The default context is ", stdout);
    print_text(stdout, name);
    puts(".");
  }
  return EXIT_OK;
}

static int run(const command_t *self, int argc, char **argv) {
  values_t values = {0};
  if (rstream_config_new(&values.config) != 0) return EXIT_OTHER;
  command_line line = options_read(self, argc, argv, &values, NULL);
  int status = line.exit_code;
  if (!line.is_done) {
    if (strcmp(line.positional, "list") == 0 && !line.second) {
      status = list(&values);
    } else if (strcmp(line.positional, "show") == 0) {
      status = show(&values, line.second);
    } else if (strcmp(line.positional, "use") == 0 && line.second) {
      status = use(&values, line.second);
    } else {
      complain("'rstreamctl context' takes list, show [name], or use and a name");
      status = options_usage_error(self);
    }
  }
  rstream_config_free(values.config);
  return status;
}

const command_t context_command = {
    .name = "context",
    .summary = "list the contexts of the configuration file, choose one",
    .positional = "<list|show|use>",
    .positional_help = "the contexts; what one comes to, with the environment; make one the default",
    .second = "[name]",
    .second_help = "the context: needed by use; show takes the selected one without it",
    .about =
        "A context is an engine, who the client is there and how it gets there, under a name in the configuration\n"
        "file that the official clients read, too. Secrets are not shown.",
    .examples =
        "  rstreamctl context list\n"
        "  rstreamctl context show production --json\n"
        "  rstreamctl context use production\n",
    .options = options,
    .run = run,
};
