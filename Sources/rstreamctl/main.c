/* SPDX-License-Identifier: Apache-2.0 */
/* rstreamctl: librstream on the command line. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "output.h"

static const command_t *const commands[] = {&engine_command,  &forward_command, &dial_command,
                                            &tunnels_command, &clients_command, &watch_command,
                                            &context_command, &doctor_command,  &version_command};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void help(FILE *file) {
  fputs(
      "usage: rstreamctl COMMAND [options]\n\n"
      "Publishes local services through an rstream engine, reaches private ones, and runs an engine.\n\n"
      "Commands:\n",
      file);
  for (int i = 0; i < COMMANDS; i++) fprintf(file, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
  fputs(
      "\n'rstreamctl COMMAND --help' tells more about each, with examples and exit codes.\n\n"
      "Try it on one machine, in two terminals:\n"
      "  rstreamctl engine --dev\n"
      "  rstreamctl forward 8080 --engine localhost:4443 --ca-file ~/.local/state/rstream/ca.pem\n",
      file);
}

static const command_t *find(const char *name) {
  for (int i = 0; i < COMMANDS; i++) {
    if (strcmp(commands[i]->name, name) == 0) return commands[i];
  }
  return NULL;
}

/* Opens what is closed of the standard descriptors, so that nothing else gets their numbers. */
static void keep_standard_descriptors(void) {
  int fd;
  do {
    fd = open("/dev/null", O_RDWR);
  } while (fd >= 0 && fd <= 2);
  if (fd > 2) close(fd);
}

int main(int argc, char **argv) {
  keep_standard_descriptors();
  /* Writing to a pipe that nobody reads is an error like any other. */
  signal(SIGPIPE, SIG_IGN);
  if (argc < 2) {
    help(stderr);
    return EXIT_USAGE;
  }
  const char *name = argv[1];
  if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || (strcmp(name, "help") == 0 && argc == 2)) {
    help(stdout);
    return EXIT_OK;
  }
  if (strcmp(name, "--version") == 0) name = "version";
  const command_t *command = find(strcmp(name, "help") == 0 ? argv[2] : name);
  if (!command) {
    complain("there is no command '%s'", strcmp(name, "help") == 0 ? argv[2] : name);
    fputs("Try 'rstreamctl --help'.\n", stderr);
    return EXIT_USAGE;
  }
  if (strcmp(name, "help") == 0) {
    options_help(command);
    return EXIT_OK;
  }
  return command->run(command, argc - 2, argv + 2);
}
