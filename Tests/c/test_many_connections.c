/* SPDX-License-Identifier: Apache-2.0 */
/* A thousand QUIC connections, opened and closed, with a control channel and a stream on each: neither client nor engine
 * keeps memory or descriptors of them. */
#include <dirent.h>
#include <malloc.h>
#include <unistd.h>

#include "check.h"
#include "world.h"

enum { AT_ONCE = 20, WARM_UP = 10, ROUNDS = 50 };

#if defined(__SANITIZE_ADDRESS__)
#define COUNTS_MEMORY 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COUNTS_MEMORY 0 /* it keeps what is freed for a while */
#endif
#endif
#ifndef COUNTS_MEMORY
#define COUNTS_MEMORY 1
#endif

static int descriptors(void) {
  int count = 0;
  DIR *directory = opendir("/proc/self/fd");
  CHECK(directory != NULL);
  while (readdir(directory)) count++;
  closedir(directory);
  return count;
}

static long kilobytes(void) {
  long size, resident;
  malloc_trim(0);
  FILE *file = fopen("/proc/self/statm", "r");
  CHECK(file != NULL);
  CHECK_INT(fscanf(file, "%ld %ld", &size, &resident), 2);
  fclose(file);
  return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void on_control(rstream_control *control, const rstream_error *error, void *data) {
  if (error) fprintf(stderr, "%s: %s\n", rstream_error_name(error), rstream_error_message(error));
  CHECK(control != NULL);
  count_call(data);
}

static void on_stream(rstream_stream *stream, const rstream_error *error, void *data) {
  if (error) fprintf(stderr, "%s: %s\n", rstream_error_name(error), rstream_error_message(error));
  CHECK(stream != NULL);
  send_text(stream, "hello");
  CHECK_INT(rstream_stream_close(stream, NULL, NULL), 0);
  count_call(data);
}

/* Some clients that come and go together. */
static void come_and_go(struct world *world) {
  rstream_client *clients[AT_ONCE];
  const char *settings[] = {"transport.mode", "quic", NULL};
  int controls = 0, streams = 0, closed = 0;
  for (int i = 0; i < AT_ONCE; i++) {
    clients[i] = world_client(world, settings);
    CHECK_INT(rstream_client_connect(clients[i], on_control, &controls), 0);
  }
  run_until_count(world->loop, &controls, AT_ONCE);
  for (int i = 0; i < AT_ONCE; i++) CHECK_INT(rstream_client_dial(clients[i], "echo", on_stream, &streams), 0);
  run_until_count(world->loop, &streams, AT_ONCE);
  for (int i = 0; i < AT_ONCE; i++) CHECK_INT(rstream_client_close(clients[i], count_call, &closed), 0);
  run_until_count(world->loop, &closed, AT_ONCE);
}

int main(void) {
  struct world world;
  /* Reading the authorities of the system is most of what a client costs. */
  CHECK_INT(setenv("SSL_CERT_FILE", "/dev/null", 1), 0);
  CHECK_INT(unsetenv("SSL_CERT_DIR"), 0);
  world_begin(&world);
  world_open_tunnel(&world);
  CHECK_INT(rstream_tunnel_listen(world.tunnel, echo_stream, NULL), 0);
  for (int i = 0; i < WARM_UP; i++) come_and_go(&world);
  /* Closed connections stay for a second at most, to answer what comes late. */
  run_idle(world.loop, 1500);
  int files = descriptors();
  long memory = kilobytes();
  for (int i = 0; i < ROUNDS; i++) come_and_go(&world);
  run_idle(world.loop, 1500);
  CHECK_INT(descriptors(), files);
  long grown = kilobytes() - memory;
  if (COUNTS_MEMORY && grown > 4096) {
    fprintf(stderr, "%d connections have left %ld KiB\n", ROUNDS * AT_ONCE, grown);
    return 1;
  }
  world_end(&world);
  return 0;
}
