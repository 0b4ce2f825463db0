/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of rstreamctl and how their command lines are described, read and explained. */
#ifndef RSTREAMCTL_COMMAND_H
#define RSTREAMCTL_COMMAND_H

#include <rstream.h>
#include <stdbool.h>

/* What the process ends with. */
enum {
  EXIT_OK = 0,
  EXIT_OTHER = 1,
  EXIT_USAGE = 2,
  EXIT_REFUSED = 3,
  EXIT_UNREACHABLE = 4,
  EXIT_LOST = 5,
};

/* An option. `apply` puts it into the command's values; it returns 0, or the code to exit with, having said why. */
typedef struct option {
  const char *name;     /* "--engine" */
  const char *argument; /* "HOST[:PORT]"; NULL for a flag */
  const char *help;
  int (*apply)(void *values, const struct option *option, const char *value);
  const char *setting; /* what `apply` is to set, where that is a name of its own */
} option_t;

/* A command. Tables of options end with an option without a name. */
typedef struct command {
  const char *name;
  const char *summary;
  const char *positional; /* "<target>"; NULL when there is none */
  const char *positional_help;
  const char *second; /* "[name]", which may be left out; NULL when there is none */
  const char *second_help;
  const char *about;
  const char *examples;
  const option_t *options;
  const option_t *more_options; /* may be NULL */
  int (*run)(const struct command *command, int argc, char **argv);
} command_t;

extern const command_t engine_command, forward_command, dial_command, tunnels_command, clients_command, watch_command,
    context_command, doctor_command, version_command;

/* What options_read() says besides "go on": the command line was answered (--help) or refused. */
typedef struct command_line {
  const char *positional; /* NULL when it was not given */
  const char *second;     /* the same */
  bool is_done;
  int exit_code;
} command_line;

/* Reads what follows the command's name. `values` is what the options are applied to. */
command_line options_read(const command_t *command, int argc, char **argv, void *values, void *more_values);

/* Splits "name=value" at the first '='. Returns 0, or the code to exit with, having said what is wrong: without repeating
 * the text, which may be a secret. `name` is freed by the caller. */
int options_split(const option_t *option, const char *text, char **name, const char **value);

/* Prints a command's help. */
void options_help(const command_t *command);

/* Prints the hint where help is to be found. Returns EXIT_USAGE. */
int options_usage_error(const command_t *command);

#endif
