/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <signal.h>

#include "command.h"
#include "output.h"

static void on_signal(uv_signal_t *handle, int number) {
  session_t *session = handle->data;
  (void)number;
  session->signal_count++;
  if (session->on_signal) {
    session->on_signal(session, session->signal_count);
  } else {
    session_end(session, EXIT_OK);
  }
  /* Whoever asks three times does not want to wait for an orderly end. */
  if (session->signal_count > 2) uv_stop(&session->uv);
}

int session_open(session_t *session) {
  const int numbers[] = {SIGINT, SIGTERM};
  int status = uv_loop_init(&session->uv);
  if (status == 0) status = rstream_loop_wrap(&session->uv, &session->loop);
  for (int i = 0; i < 2 && status == 0; i++) {
    uv_signal_init(&session->uv, &session->signals[i]);
    session->signals[i].data = session;
    status = uv_signal_start(&session->signals[i], on_signal, numbers[i]);
  }
  if (status == 0) return 0;
  complain("cannot make an event loop: %s", rstream_strerror(status));
  return EXIT_OTHER;
}

static void on_closed(void *data) {
  session_t *session = data;
  session->loop = NULL;
  for (int i = 0; i < 2; i++) uv_close((uv_handle_t *)&session->signals[i], NULL);
}

void session_end(session_t *session, int exit_code) {
  if (session->is_ending) return;
  session->is_ending = true;
  session->exit_code = exit_code;
  if (session->on_end) session->on_end(session);
  rstream_loop_close(session->loop, on_closed, session);
}

int session_run(session_t *session) {
  uv_run(&session->uv, UV_RUN_DEFAULT);
  uv_loop_close(&session->uv);
  return session->exit_code;
}
