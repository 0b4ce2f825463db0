/* SPDX-License-Identifier: Apache-2.0 */
/* A stream on standard input and output. */
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "dial.h"
#include "output.h"
#include "pump.h"

typedef struct standard_io {
  dial_values *values;
  pump_t pump;
  local_t in, out;
  bool is_pumping;
} standard_io;

static standard_io *io;

static void fail(const rstream_error *error) {
  if (io->values->session.is_ending) return;
  if (io->values->json) {
    json_offline(stderr, error, 0, NULL);
  } else {
    complain_about(error);
  }
  session_end(&io->values->session, exit_code_for(error));
}

/* Ends with a code where there is no error that says more. */
static void fail_with_code(int code, const char *text, int exit_code) {
  if (io->values->session.is_ending) return;
  if (io->values->json) {
    json_offline(stderr, NULL, code, text);
  } else {
    complain("%s", text);
  }
  session_end(&io->values->session, exit_code);
}

static void on_pump_end(pump_t *pump) {
  io->is_pumping = false;
  switch (pump->failed) {
    case PUMP_OK:
      session_end(&io->values->session, EXIT_OK);
      break;
    case PUMP_STREAM_FAILED:
      fail_with_code(RSTREAM_ESTREAM_CLOSED, pump->failure, EXIT_LOST);
      break;
    default:
      fail_with_code(UV_EIO, pump->failure, EXIT_OTHER);
  }
}

static int open_standard(local_t *end, uv_file file, const char *name) {
  int status = local_open(end, &io->values->session.uv, file);
  if (status == 0) return 0;
  char text[128];
  snprintf(text, sizeof text, "cannot use %s: %s", name, rstream_strerror(status));
  fail_with_code(status, text, EXIT_OTHER);
  return status;
}

static void on_dial(rstream_stream *stream, const rstream_error *error, void *data) {
  (void)data;
  if (error) {
    fail(error);
    return;
  }
  if (open_standard(&io->in, 0, "standard input") != 0) return;
  if (open_standard(&io->out, 1, "standard output") != 0) return;
  io->out.closes_when_shut = true;
  io->pump.on_end = on_pump_end;
  io->is_pumping = true;
  pump_start(&io->pump, stream, &io->in, &io->out);
}

static void on_session_end(session_t *session) {
  (void)session;
  if (io->is_pumping) pump_cancel(&io->pump);
}

int dial_standard(dial_values *values) {
  io = calloc(1, sizeof *io);
  if (!io) return EXIT_OTHER;
  io->values = values;
  values->session.on_end = on_session_end;
  int status = rstream_client_dial(values->client, values->target, on_dial, NULL);
  if (status != 0) {
    fail_with_code(status, rstream_strerror(status), status == RSTREAM_EINVALID_TUNNEL ? EXIT_USAGE : EXIT_OTHER);
  }
  status = session_run(&values->session);
  free(io);
  return status;
}
