/* SPDX-License-Identifier: Apache-2.0 */
/* An engine, a client with a control channel and a private tunnel on one loop: where tests of tunnels begin. */
#ifndef WORLD_H
#define WORLD_H

#include <rstream.h>
#include <stdbool.h>

struct world {
  rstream_loop *loop;
  rstream_engine *engine;
  rstream_client *client;
  rstream_control *control;
  rstream_tunnel *tunnel;
  char directory[64];
};

/* What waits, and ends the program, naming the line that waits, when that takes too long. */

/* Runs the loop until *flag is true. */
#define run_until(loop, flag) run_until_at(loop, flag, __FILE__, __LINE__)
void run_until_at(rstream_loop *loop, const bool *flag, const char *file, int line);

/* Like run_until, for a count that is to reach `wanted`. */
#define run_until_count(loop, count, wanted) run_until_count_at(loop, count, wanted, __FILE__, __LINE__)
void run_until_count_at(rstream_loop *loop, const int *count, int wanted, const char *file, int line);

/* Lets the loop run until a condition holds. */
#define RUN_UNTIL(world, condition)                        \
  do {                                                     \
    int turns = 0;                                         \
    while (!(condition)) run_turn((world)->loop, turns++); \
  } while (0)

/* One turn of the loop, the first of which is number 0. */
#define run_turn(loop, number) run_turn_at(loop, number, __FILE__, __LINE__)
void run_turn_at(rstream_loop *loop, int number, const char *file, int line);

/* Lets the loop run through some iterations in which nothing in particular is expected. */
void run_idle(rstream_loop *loop, int milliseconds);

/* Makes an engine in development mode, started, and a client for it. */
void world_begin(struct world *world);

/* A further client of the world's engine; settings are name, value pairs that end with NULL. */
rstream_client *world_client(struct world *world, const char *const *settings);

/* Opens the world's control channel and a private tunnel called "echo" on it. */
void world_open_tunnel(struct world *world);

/* Opens a tunnel; options are name, value pairs that end with NULL. */
rstream_tunnel *world_create_tunnel(struct world *world, const char *const *options);

/* Dials a tunnel and returns the stream. */
rstream_stream *world_dial(struct world *world, rstream_client *client, const char *name);

/* Both ends of a new stream of the world's tunnel, which nobody listens to afterwards. */
struct stream_pair {
  rstream_stream *dialed, *accepted;
};

struct stream_pair world_pair(struct world *world);

/* Writes a text; checks that it is taken. */
void send_text(rstream_stream *stream, const char *text);

/* Closes the loop and with it everything; removes the engine's files. */
void world_end(struct world *world);

/* Sends everything a stream receives back to it, with half close, and closes it. For rstream_tunnel_listen. */
void echo_stream(rstream_tunnel *tunnel, rstream_stream *stream, void *data);

/* Collects what a stream sends. */
struct collector {
  uint8_t *bytes;
  size_t len;
  bool ended;
  int failure;
};

void collect(rstream_stream *stream, const uint8_t *bytes, size_t len, const rstream_error *error, void *collector);

/* Sets the bool that data points to. */
void set_flag(void *data);

/* Counts in the int that data points to. */
void count_call(void *data);

#endif
