/* SPDX-License-Identifier: Apache-2.0 */
/* What every command that runs has: a loop, SIGINT and SIGTERM, and the code to exit with. */
#ifndef RSTREAMCTL_SESSION_H
#define RSTREAMCTL_SESSION_H

#include <rstream.h>
#include <stdbool.h>
#include <uv.h>

typedef struct session {
  uv_loop_t uv;
  rstream_loop *loop;
  int exit_code;
  bool is_ending;
  /* Called for a signal: the how manieth it is. NULL ends the session at the first. */
  void (*on_signal)(struct session *session, int count);
  /* Called once when the session ends, for handles that are not librstream's. May be NULL. */
  void (*on_end)(struct session *session);
  uv_signal_t signals[2];
  int signal_count;
} session_t;

/* Makes the loop and watches for signals. Returns 0, or the code to exit with, having said why. */
int session_open(session_t *session);

/* Ends everything on the loop; the process exits with `exit_code`. Only the first call counts. */
void session_end(session_t *session, int exit_code);

/* Runs until the session has ended. Returns the code to exit with. */
int session_run(session_t *session);

#endif
