/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the library named on the command line 50 times, uses it, and lets it go again. Every call goes through dlsym: this
   program is not linked with the library. */
#include <dirent.h>
#include <dlfcn.h>
#include <rstream.h>
#include <stdio.h>
#include <string.h>

#define CHECK(condition)                                                  \
  do {                                                                    \
    if (!(condition)) {                                                   \
      fprintf(stderr, "round %d: %s does not hold\n", round, #condition); \
      return 1;                                                           \
    }                                                                     \
  } while (0)

#define LOAD(name)                                                          \
  __typeof__(&name) load_##name = (__typeof__(&name))dlsym(library, #name); \
  CHECK(load_##name != NULL)

static int threads(void) {
  DIR *tasks = opendir("/proc/self/task");
  int count = -2; /* "." and ".." */
  while (tasks && readdir(tasks)) count++;
  if (tasks) closedir(tasks);
  return count;
}

static void count_call(void *data) {
  ++*(int *)data;
}

static int use(void *library, int round) {
  LOAD(rstream_version_string);
  LOAD(rstream_config_new);
  LOAD(rstream_config_set);
  LOAD(rstream_config_free);
  LOAD(rstream_error_free);
  LOAD(rstream_loop_new);
  LOAD(rstream_loop_post);
  LOAD(rstream_loop_run_nowait);
  LOAD(rstream_loop_close);

  CHECK(strcmp(load_rstream_version_string(), RSTREAM_VERSION_STRING) == 0);

  rstream_config *config = NULL;
  rstream_error *error = NULL;
  CHECK(load_rstream_config_new(&config) == 0);
  CHECK(load_rstream_config_set(config, "no.such.setting", "1", &error) == RSTREAM_EINVALID_CONFIG);
  CHECK(error != NULL);
  load_rstream_error_free(error);
  load_rstream_config_free(config);

  rstream_loop *loop = NULL;
  int posted = 0, closed = 0;
  CHECK(load_rstream_loop_new(&loop) == 0);
  CHECK(load_rstream_loop_post(loop, count_call, &posted) == 0);
  CHECK(load_rstream_loop_run_nowait(loop) >= 0);
  CHECK(posted == 1);
  CHECK(load_rstream_loop_close(loop, count_call, &closed) == 0);
  CHECK(closed == 1);
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  for (int round = 1; round <= 50; round++) {
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!library) {
      fprintf(stderr, "round %d: %s\n", round, dlerror());
      return 1;
    }
    if (use(library, round) != 0) return 1;
    CHECK(dlclose(library) == 0);
    CHECK(threads() == 1);
  }
  puts("50 rounds");
  return 0;
}
