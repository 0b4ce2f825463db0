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
  RSTREAM_LOG_OFF = 0,   /**< nothing */
  RSTREAM_LOG_ERROR = 1, /**< what the library cannot do */
  RSTREAM_LOG_WARN = 2,  /**< what somebody should look at */
  RSTREAM_LOG_INFO = 3,  /**< beginnings and ends of what lives long */
  RSTREAM_LOG_DEBUG = 4  /**< each stream and connection */
} rstream_log_level;

/**
 * Receives one line. Called on the thread that logs (the loop's); with several loops the callback may run on several
 * threads at once. It must not call back into librstream.
 * @param level    a rstream_log_level
 * @param module   the part of the library: "control", "stream", "engine"...; borrowed for the call
 * @param message  the line, without a line end; borrowed for the call
 */
typedef void (*rstream_log_cb)(int level, const char *module, const char *message, void *data);

/**
 * Sets level and destination for the whole process. Before the first call the level comes from the environment variable
 * RSTREAM_LOG (off, error, warn, info, debug; unset: off). Call it before other threads use the library.
 * @param level  a rstream_log_level
 * @param cb     receives the lines; with NULL they go to standard error
 * @param data   must live as long as `cb` may be called
 * @return 0, or UV_EINVAL when `level` is none of rstream_log_level
 */
RSTREAM_API int rstream_log_set(int level, rstream_log_cb cb, void *data);

#ifdef __cplusplus
}
#endif

#endif /* RSTREAM_LOG_H */
