/* SPDX-License-Identifier: Apache-2.0 */
/* Level and destination of log lines. */
#include <rstream.h>
#include <uv.h>

#include "check.h"

static void count_line(int level, const char *module, const char *message, void *data) {
  CHECK(level >= RSTREAM_LOG_ERROR && level <= RSTREAM_LOG_DEBUG);
  CHECK(*module != '\0' && *message != '\0');
  ++*(int *)data;
}

int main(void) {
  int lines = 0;
  CHECK_INT(rstream_log_set(-1, NULL, NULL), UV_EINVAL);
  CHECK_INT(rstream_log_set(RSTREAM_LOG_DEBUG + 1, NULL, NULL), UV_EINVAL);
  CHECK_INT(rstream_log_set(RSTREAM_LOG_DEBUG, count_line, &lines), 0);
  CHECK_INT(rstream_log_set(RSTREAM_LOG_OFF, NULL, NULL), 0);
  return 0;
}
