/* SPDX-License-Identifier: Apache-2.0 */
/**
 * log.h - where the library's log lines go. No line ever contains a token, a secret or a key.
 */
#ifndef RSTREAM_LOG_H
#define RSTREAM_LOG_H

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How much is logged: a level includes those with smaller numbers. */
typedef enum rstream_log_level {
  RSTREAM_LOG_OFF = 0,
  RSTREAM_LOG_ERROR = 1,
  RSTREAM_LOG_WARN = 2,
  RSTREAM_LOG_INFO = 3,
  RSTREAM_LOG_DEBUG = 4
} rstream_log_level;

/**
 * Receives one line, without a line end. `level` is a rstream_log_level, `module` names the part of the library
 * ("control", "stream", "engine"...). Both strings are borrowed for the call. Called on the thread that logs (the loop's);
 * with several loops the callback may run on several threads at once. It must not call back into librstream.
 */
typedef void (*rstream_log_cb)(int level, const char *module, const char *message, void *data);

/**
 * Sets level and destination for the whole process. With `cb` NULL lines go to standard error. Before the first call the
 * level comes from the environment variable RSTREAM_LOG (off, error, warn, info, debug; unset: off). Call it before other
 * threads use the library.
 * @return 0, or UV_EINVAL when `level` is none of rstream_log_level
 */
RSTREAM_API int rstream_log_set(int level, rstream_log_cb cb, void *data);

#ifdef __cplusplus
}
#endif

#endif /* RSTREAM_LOG_H */
