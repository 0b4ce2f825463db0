/* SPDX-License-Identifier: Apache-2.0 */
/* Reads command lines by the tables of their options, and prints those tables as help. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "output.h"

static const char exit_codes[] =
    "Exit codes:\n"
    "  0  ended as it should, or by SIGINT or SIGTERM\n"
    "  1  failed in another way\n"
    "  2  the command line is wrong\n"
    "  3  refused by the engine, or bad configuration\n"
    "  4  the engine cannot be reached: network, TLS, timeout\n"
    "  5  the connection was lost after it had been made\n";

static void help_for_options(const option_t *options) {
  for (; options && options->name; options++) {
    char left[64];
    snprintf(left, sizeof left, "%s%s%s", options->name, options->argument ? " " : "",
             options->argument ? options->argument : "");
    printf("  %-28s %s\n", left, options->help);
  }
}

void options_help(const command_t *command) {
  printf("usage: rstreamctl %s%s%s%s%s [options]\n\n%s\n", command->name, command->positional ? " " : "",
         command->positional ? command->positional : "", command->second ? " " : "",
         command->second ? command->second : "", command->about);
  if (command->positional) printf("\n  %-28s %s\n", command->positional, command->positional_help);
  if (command->second) printf("  %-28s %s\n", command->second, command->second_help);
  puts("\nOptions:");
  help_for_options(command->options);
  help_for_options(command->more_options);
  printf("  %-28s %s\n", "--help", "show this");
  if (command->examples) printf("\nExamples:\n%s", command->examples);
  printf("\n%s", exit_codes);
}

int options_usage_error(const command_t *command) {
  fprintf(stderr, "Try 'rstreamctl %s --help'.\n", command->name);
  return EXIT_USAGE;
}

int options_split(const option_t *option, const char *text, char **name, const char **value) {
  const char *equals = strchr(text, '=');
  if (!equals || equals == text) {
    complain("%s takes %s", option->name, option->argument);
    return EXIT_USAGE;
  }
  *name = strndup(text, (size_t)(equals - text));
  *value = equals + 1;
  return *name ? 0 : EXIT_OTHER;
}

/* The option that `argument` names, up to a '='. */
static const option_t *find(const option_t *options, const char *argument, size_t length) {
  for (; options && options->name; options++) {
    if (strlen(options->name) == length && strncmp(options->name, argument, length) == 0) return options;
  }
  return NULL;
}

static command_line refuse(const command_t *command) {
  return (command_line){.is_done = true, .exit_code = options_usage_error(command)};
}

command_line options_read(const command_t *command, int argc, char **argv, void *values, void *more_values) {
  command_line line = {0};
  bool options_are_over = false;
  for (int i = 0; i < argc; i++) {
    const char *argument = argv[i];
    if (!options_are_over && strcmp(argument, "--") == 0) {
      options_are_over = true;
      continue;
    }
    if (options_are_over || argument[0] != '-' || argument[1] == '\0') {
      if (command->positional && !line.positional) {
        line.positional = argument;
      } else if (command->second && !line.second) {
        line.second = argument;
      } else {
        complain("'rstreamctl %s' takes %s", command->name,
                 command->second       ? "two arguments"
                 : command->positional ? "one argument"
                                       : "no argument");
        return refuse(command);
      }
      continue;
    }
    if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
      options_help(command);
      return (command_line){.is_done = true};
    }
    size_t length = strcspn(argument, "=");
    const option_t *option = find(command->options, argument, length);
    void *target = values;
    if (!option) {
      option = find(command->more_options, argument, length);
      target = more_values;
    }
    if (!option) {
      complain("'rstreamctl %s' has no option '%.*s'", command->name, (int)length, argument);
      return refuse(command);
    }
    const char *value = argument[length] == '=' ? argument + length + 1 : NULL;
    if (!option->argument && value) {
      complain("%s takes no value", option->name);
      return refuse(command);
    }
    if (option->argument && !value) {
      if (i + 1 == argc) {
        complain("%s needs a value: %s", option->name, option->argument);
        return refuse(command);
      }
      value = argv[++i];
    }
    int status = option->apply(target, option, value);
    if (status == EXIT_USAGE) return refuse(command);
    if (status != 0) return (command_line){.is_done = true, .exit_code = status};
  }
  if (command->positional && !line.positional) {
    complain("'rstreamctl %s' needs %s: %s", command->name, command->positional, command->positional_help);
    return refuse(command);
  }
  return line;
}
