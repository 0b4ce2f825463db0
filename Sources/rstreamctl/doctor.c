/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "client_options.h"
#include "command.h"
#include "output.h"
#include "session.h"

typedef struct doctor_values {
  session_t session;
  bool json;
} doctor_values;

static int set_json(void *values, const option_t *option, const char *value) {
  (void)option, (void)value;
  ((doctor_values *)values)->json = true;
  return 0;
}

static const option_t options[] = {
    {"--json", NULL, "one line of JSON for each check", set_json, NULL},
    {0},
};

static void on_check(const char *name, rstream_doctor_status status, uint64_t microseconds, const char *detail,
                     const char *advice, void *data) {
  static const char *const words[] = {"pass", "warn", "fail", "skip"};
  doctor_values *values = data;
  if (values->session.is_ending) return;
  if (values->json) {
    json_line line = json_begin(stdout);
    json_string(&line, "check", name);
    json_string(&line, "status", words[status]);
    json_number(&line, "microseconds", (int64_t)microseconds);
    json_string(&line, "detail", detail);
    json_string(&line, "advice", advice);
    json_end(&line);
    return;
  }
  printf("%-13s %s ", name, words[status]);
  if (status == RSTREAM_DOCTOR_SKIP) {
    printf("%12s", "");
  } else {
    printf("%9.1f ms", (double)microseconds / 1000);
  }
  fputs("  ", stdout);
  print_text(stdout, detail);
  putchar('\n');
  if (advice) {
    fputs("              -> ", stdout);
    print_text(stdout, advice);
    putchar('\n');
  }
  fflush(stdout);
}

static void on_end(rstream_doctor_status worst, void *data) {
  session_end(&((doctor_values *)data)->session, worst == RSTREAM_DOCTOR_FAIL ? EXIT_OTHER : EXIT_OK);
}

/* A configuration that cannot be read is the first finding. */
static void report_unreadable(doctor_values *values, const rstream_error *error) {
  on_check("configuration", RSTREAM_DOCTOR_FAIL, 0, rstream_error_message(error),
           "mend the file or the variable; docs/configuration.md tells what they may hold", values);
  session_end(&values->session, EXIT_OTHER);
}

static int examine(doctor_values *values, rstream_config *config) {
  int status = session_open(&values->session);
  if (status != 0) return status;
  rstream_error *error = NULL;
  if (rstream_config_load(config, &error) != 0) {
    report_unreadable(values, error);
  } else if (rstream_doctor(values->session.loop, config, on_check, on_end, values, &error) != 0) {
    complain_about(error);
    session_end(&values->session, EXIT_OTHER);
  }
  rstream_error_free(error);
  return session_run(&values->session);
}

static int run(const command_t *self, int argc, char **argv) {
  doctor_values values = {0};
  rstream_config *config = NULL;
  if (rstream_config_new(&config) != 0) return EXIT_OTHER;
  command_line line = options_read(self, argc, argv, &values, config);
  int status = line.is_done ? line.exit_code : examine(&values, config);
  rstream_config_free(config);
  return status;
}

const command_t doctor_command = {
    .name = "doctor",
    .summary = "find out what keeps a client from its engine",
    .about =
        "Checks the configuration, name server, proxy, connection, certificate, engine and clock, and says for each "
        "what\n"
        "it came to, how long it took and what to do. Exits with 1 when a check has failed.",
    .examples =
        "  rstreamctl doctor --engine edge.example.com\n"
        "  rstreamctl doctor --context production --json\n",
    .options = options,
    .more_options = client_options,
    .run = run,
};
