/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CUV_H
#define CUV_H
#include <uv.h>

/** Whether descriptors are watched, or watched for other events, that the loop's backend has not been told of yet. */
int rstream_uv_has_new_watchers(const uv_loop_t *loop);

/** Starts a program by its path, in the directory /, with these arguments (the path the first) and this environment only,
 * both ended by NULL. Its standard input is the descriptor `input`, which stays the caller's. */
int rstream_uv_spawn(uv_loop_t *loop, uv_process_t *process, uv_exit_cb on_exit, char *const *arguments,
                     char *const *environment, int input, uv_pipe_t *output, uv_pipe_t *errors);

#endif
