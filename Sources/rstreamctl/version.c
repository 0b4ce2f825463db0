/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "output.h"

static int set_json(void *values, const option_t *option, const char *value) {
  (void)option, (void)value;
  *(bool *)values = true;
  return 0;
}

static const option_t options[] = {
    {"--json", NULL, "one line of JSON", set_json, NULL},
    {0},
};

static int print_json(void) {
  json_line line = json_begin(stdout);
  json_string(&line, "version", RSTREAM_VERSION_STRING);
  json_string(&line, "library", rstream_version_string());
  json_string(&line, "protocol", rstream_protocol_version());
  json_list(&line, "features");
  char *features = strdup(rstream_features());
  if (!features) return EXIT_OTHER;
  for (char *word = strtok(features, " "); word; word = strtok(NULL, " ")) json_string(&line, NULL, word);
  free(features);
  json_list_end(&line);
  json_end(&line);
  return EXIT_OK;
}

static int run(const command_t *self, int argc, char **argv) {
  bool json = false;
  command_line line = options_read(self, argc, argv, &json, NULL);
  if (line.is_done) return line.exit_code;
  if (json) return print_json();
  printf("rstreamctl %s, librstream %s, protocol %s\n", RSTREAM_VERSION_STRING, rstream_version_string(),
         rstream_protocol_version());
  printf("features: %s\n", rstream_features());
  return EXIT_OK;
}

const command_t version_command = {
    .name = "version",
    .summary = "say which version this is and what it can do",
    .about = "Says which version of rstreamctl and librstream this is, which protocol it speaks and what it can do.",
    .examples = "  rstreamctl version --json\n",
    .options = options,
    .run = run,
};
