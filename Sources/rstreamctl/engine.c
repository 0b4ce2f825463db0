/* SPDX-License-Identifier: Apache-2.0 */
/* Runs an engine in this process. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#include "output.h"
#include "service.h"
#include "session.h"

/* Where a development engine listens when nobody says otherwise: on this port, or on a free one when it is taken. */
#define DEVELOPMENT_ADDRESS "localhost:4443"
#define ANY_PORT "localhost:0"

enum { SETTINGS = 256 };

typedef struct engine_values {
  session_t session;
  rstream_engine_options *options;
  rstream_engine *engine;
  const char *config_file;
  bool is_development;
  bool json;
  /* What the command line says is stronger than file and environment: it is kept until those have been read. */
  struct {
    char *name;
    const char *value;
  } given[SETTINGS];
  int given_count;
} engine_values;

static int give(engine_values *values, const char *name, const char *value) {
  if (values->given_count == SETTINGS) {
    complain("more than %d settings on the command line: use --config", SETTINGS);
    return EXIT_USAGE;
  }
  char *copy = strdup(name);
  if (!copy) return EXIT_OTHER;
  values->given[values->given_count].name = copy;
  values->given[values->given_count++].value = value;
  return 0;
}

static int set_file(void *values, const option_t *option, const char *value) {
  (void)option;
  ((engine_values *)values)->config_file = value;
  return 0;
}

static int set_development(void *values, const option_t *option, const char *value) {
  (void)option, (void)value;
  ((engine_values *)values)->is_development = true;
  return 0;
}

static int set_json(void *values, const option_t *option, const char *value) {
  (void)option, (void)value;
  ((engine_values *)values)->json = true;
  return 0;
}

static int set_setting(void *values, const option_t *option, const char *value) {
  return give(values, option->setting, value);
}

static int set_named(void *values, const option_t *option, const char *text) {
  char *name = NULL;
  const char *value = NULL;
  int status = options_split(option, text, &name, &value);
  if (status == 0) status = give(values, name, value);
  free(name);
  return status;
}

static const option_t options[] = {
    {"--config", "FILE", "configuration file, YAML (RSTREAM_ENGINE_CONFIG)", set_file, NULL},
    {"--dev", NULL, "for development: own CA, no token needed", set_development, NULL},
    {"--state-dir", "DIR", "where --dev keeps its CA (~/.local/state/rstream)", set_setting, "dev.state_dir"},
    {"--host", "NAME", "host name of the engine (localhost)", set_setting, "engine.host"},
    {"--listen", "ADDR", "host:port or :port; port 0 is a free one (:443)", set_setting, "tls.listen_addr"},
    {"--tcp-ports", "A-B", "ports of published TCP tunnels", set_setting, "tcp.port_range"},
    {"--set", "NAME=VALUE", "any setting of <rstream/engine.h>", set_named, NULL},
    {"--json", NULL, "lines of JSON on standard output", set_json, NULL},
    {0},
};

static void on_log(int level, const char *module, const char *message, void *data) {
  static const char *const names[] = {"off", "error", "warn", "info", "debug"};
  (void)data;
  fprintf(stderr, "%s %s: ", names[level], module);
  print_text(stderr, message);
  fputc('\n', stderr);
}

static void start_logging(const rstream_engine_options *engine_options) {
  static const char *const names[] = {"off", "error", "warn", "info", "debug"};
  /* The environment speaks of the library as a whole and is stronger. */
  if (getenv("RSTREAM_LOG")) return;
  const char *wanted = rstream_engine_options_get(engine_options, "engine.log_level");
  for (int level = RSTREAM_LOG_OFF; wanted && level <= RSTREAM_LOG_DEBUG; level++) {
    if (strcmp(wanted, names[level]) == 0) rstream_log_set(level, on_log, NULL);
  }
}

/* Makes the folders above the last one; the engine makes that itself. */
static int make_parents(char *path) {
  for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    int status = mkdir(path, 0700);
    *slash = '/';
    if (status != 0 && errno != EEXIST) {
      complain("cannot make the folders of %s: %s", path, strerror(errno));
      return EXIT_OTHER;
    }
  }
  return 0;
}

static int set(engine_values *values, const char *name, const char *value) {
  rstream_error *error = NULL;
  if (rstream_engine_options_set(values->options, name, value, &error) == 0) return 0;
  return fail_with(error, EXIT_REFUSED);
}

static int set_default_state_dir(engine_values *values) {
  char path[4096];
  const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
  int length;
  if (state && *state == '/') {
    length = snprintf(path, sizeof path, "%s/rstream", state);
  } else if (home && *home == '/') {
    length = snprintf(path, sizeof path, "%s/.local/state/rstream", home);
  } else {
    complain("there is no home folder to keep the development CA in: give --state-dir");
    return EXIT_USAGE;
  }
  if (length >= (int)sizeof path) {
    complain("the home folder's name is too long: give --state-dir");
    return EXIT_USAGE;
  }
  int status = make_parents(path);
  return status ? status : set(values, "dev.state_dir", path);
}

/* Collects the settings: file, environment, command line, what --dev adds where nobody spoke. */
static int configure(engine_values *values) {
  rstream_error *error = NULL;
  int status = rstream_engine_options_new(&values->options);
  if (status == 0) status = rstream_engine_options_load_file(values->options, values->config_file, &error);
  if (status == 0) status = rstream_engine_options_load_environment(values->options, &error);
  if (status != 0) {
    if (error) complain_about(error);
    rstream_error_free(error);
    return EXIT_REFUSED;
  }
  if (values->is_development && (status = set(values, "dev.enabled", "true")) != 0) return status;
  for (int i = 0; i < values->given_count; i++) {
    if ((status = set(values, values->given[i].name, values->given[i].value)) != 0) return status;
  }
  const char *development = rstream_engine_options_get(values->options, "dev.enabled");
  values->is_development = development && strcmp(development, "true") == 0;
  if (values->is_development && !rstream_engine_options_get(values->options, "dev.state_dir")) {
    return set_default_state_dir(values);
  }
  return 0;
}

static bool is_listen_address_default(const engine_values *values) {
  rstream_engine_options *fresh = NULL;
  if (rstream_engine_options_new(&fresh) != 0) return false;
  const char *name = "tls.listen_addr";
  bool same = strcmp(rstream_engine_options_get(values->options, name), rstream_engine_options_get(fresh, name)) == 0;
  rstream_engine_options_free(fresh);
  return same;
}

static int start(engine_values *values, rstream_error **error) {
  int status = rstream_engine_new(values->session.loop, values->options, &values->engine, error);
  return status ? status : rstream_engine_start(values->engine, error);
}

static int start_somewhere(engine_values *values, rstream_error **error) {
  if (!values->is_development || !is_listen_address_default(values)) return start(values, error);
  int status = rstream_engine_options_set(values->options, "tls.listen_addr", DEVELOPMENT_ADDRESS, error);
  if (status == 0) status = start(values, error);
  if (status != UV_EADDRINUSE) return status;
  rstream_error_free(*error);
  rstream_engine_close(values->engine, NULL, NULL);
  status = rstream_engine_options_set(values->options, "tls.listen_addr", ANY_PORT, error);
  return status ? status : start(values, error);
}

static void say_listening(const engine_values *values) {
  const rstream_engine *engine = values->engine;
  const char *address = rstream_engine_info(engine, "address"), *ca_file = rstream_engine_info(engine, "ca_file");
  int port = rstream_engine_port(engine, "tls");
  if (values->json) {
    json_line line = json_begin(stdout);
    json_string(&line, "event", "listening");
    json_string(&line, "address", address);
    json_string(&line, "host", rstream_engine_info(engine, "host"));
    json_number(&line, "port", port > 0 ? port : rstream_engine_port(engine, "http"));
    json_string(&line, "ca_file", ca_file);
    int dtls_port = rstream_engine_port(engine, "dtls");
    if (dtls_port > 0) json_number(&line, "dtls_port", dtls_port);
    json_end(&line);
    return;
  }
  printf("The engine listens%s%s.%s\n", address ? " on " : "", address ? address : "",
         values->is_development ? " It is for development: its CA is its own, and nobody needs a token." : "");
  if (!address) return;
  const char *option = ca_file ? " --ca-file " : "";
  printf("\nPublish the web server on port 8080 of this machine, in another terminal:\n\n");
  printf("    rstreamctl forward 8080 --engine %s%s%s\n", address, option, ca_file ? ca_file : "");
  printf("\nTell programs that use librstream:\n\n    export RSTREAM_ENGINE=%s\n", address);
  if (ca_file) printf("    export RSTREAM_CA_FILE=%s\n", ca_file);
  printf("\nCtrl-C stops the engine.\n");
  fflush(stdout);
}

static void on_stopped(rstream_engine *engine, void *data) {
  (void)engine;
  session_end(data, EXIT_OK);
}

static void on_signal(session_t *session, int count) {
  engine_values *values = (engine_values *)session; /* its first member */
  tell_service_manager("STOPPING=1");
  if (count > 1 || rstream_engine_stop(values->engine, on_stopped, session) != 0) {
    session_end(session, EXIT_OK);
  } else if (!values->json) {
    puts("Stopping; once more to stop at once.");
    fflush(stdout);
  }
}

static int run(const command_t *self, int argc, char **argv) {
  engine_values values = {.session.on_signal = on_signal};
  rstream_error *error = NULL;
  command_line line = options_read(self, argc, argv, &values, NULL);
  int status = line.is_done ? line.exit_code : configure(&values);
  if (line.is_done || status != 0) goto done;
  start_logging(values.options);
  status = session_open(&values.session);
  if (status != 0) goto done;
  if (start_somewhere(&values, &error) == 0) {
    say_listening(&values);
    tell_service_manager("READY=1");
  } else {
    complain_about(error);
    /* A port that is taken is nobody's mistake; all else is the configuration's. */
    session_end(&values.session, rstream_error_code(error) > RSTREAM_EENGINE ? EXIT_OTHER : EXIT_REFUSED);
  }
  status = session_run(&values.session);
  if (status == EXIT_OK && values.json) {
    json_line stopped = json_begin(stdout);
    json_string(&stopped, "event", "stopped");
    json_end(&stopped);
  }
done:
  rstream_error_free(error);
  rstream_engine_options_free(values.options);
  for (int i = 0; i < values.given_count; i++) free(values.given[i].name);
  return status;
}

const command_t engine_command = {
    .name = "engine",
    .summary = "run an engine",
    .about =
        "Runs an engine: agents connect to it, and it publishes their tunnels. Settings come from the configuration\n"
        "file, from the environment (RSTREAM_ENGINE_TLS__LISTEN_ADDR sets tls.listen_addr) and from the command line;\n"
        "the last one wins. SIGINT or SIGTERM lets streams end in their time; a second one ends at once.\n"
        "With --dev it listens on " DEVELOPMENT_ADDRESS ", or on a free port when that one is taken.",
    .examples =
        "  rstreamctl engine --dev\n"
        "  rstreamctl engine --config /etc/rstream/engine.yaml\n"
        "  rstreamctl engine --dev --listen 127.0.0.1:0 --tcp-ports 30000-30100 --json\n",
    .options = options,
    .run = run,
};
