/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the library costs a process: the time to load it, and the memory it takes up to the first control channel.
 *   library PATH ENGINE CA_FILE
 */
#include <dlfcn.h>
#include <rstream.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

/* A line of /proc/self/status in KB, e.g. VmRSS: all resident memory, RssAnon: the part that is this process's own. */
static long status_kb(const char *name) {
  char line[256];
  long kb = -1;
  FILE *file = fopen("/proc/self/status", "r");
  if (file == NULL) bench_fail("/proc/self/status");
  while (fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, name, strlen(name)) == 0) sscanf(line + strlen(name), ": %ld", &kb);
  }
  fclose(file);
  return kb;
}

static void *library;

static void *find(const char *name) {
  void *symbol = dlsym(library, name);
  if (symbol != NULL) return symbol;
  fprintf(stderr, "library: %s\n", dlerror());
  exit(1);
}

#define CALL(name) ((__typeof__(&name))find(#name))

static rstream_loop *loop;
static rstream_control *control;

static void check(int code, const char *what) {
  if (code == 0) return;
  fprintf(stderr, "library: %s: %s\n", what, CALL(rstream_strerror)(code));
  exit(1);
}

static void on_connect(rstream_control *connected, const rstream_error *error, void *data) {
  (void)data;
  if (error != NULL) fprintf(stderr, "library: connect: %s\n", CALL(rstream_error_message)(error));
  control = connected;
  check(CALL(rstream_loop_stop)(loop), "rstream_loop_stop");
}

static void connect_client(const char *engine, const char *ca_file) {
  rstream_config *config;
  rstream_client *client;
  check(CALL(rstream_config_new)(&config), "rstream_config_new");
  check(CALL(rstream_config_set)(config, "engine", engine, NULL), "engine");
  check(CALL(rstream_config_set)(config, "transport.tls.caFile", ca_file, NULL), "transport.tls.caFile");
  check(CALL(rstream_loop_new)(&loop), "rstream_loop_new");
  check(CALL(rstream_client_new)(loop, config, &client, NULL), "rstream_client_new");
  check(CALL(rstream_client_connect)(client, on_connect, NULL), "rstream_client_connect");
  int left = CALL(rstream_loop_run)(loop);
  if (control == NULL) {
    fprintf(stderr, "library: no control channel (rstream_loop_run: %d)\n", left);
    exit(1);
  }
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fputs("usage: library PATH ENGINE CA_FILE\n", stderr);
    return 2;
  }
  long rss_before = status_kb("VmRSS");
  double begun = bench_now();
  library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  double load_ms = (bench_now() - begun) * 1e3;
  if (library == NULL) {
    fprintf(stderr, "library: %s\n", dlerror());
    return 1;
  }
  long rss_loaded = status_kb("VmRSS");
  connect_client(argv[2], argv[3]);
  printf(
      "{\"load_ms\": %.2f, \"rss_before_kb\": %ld, \"rss_loaded_kb\": %ld, \"rss_connected_kb\": %ld, "
      "\"anonymous_kb\": %ld}\n",
      load_ms, rss_before, rss_loaded, status_kb("VmRSS"), status_kb("RssAnon"));
  check(CALL(rstream_loop_close)(loop, NULL, NULL), "rstream_loop_close");
  return 0;
}
