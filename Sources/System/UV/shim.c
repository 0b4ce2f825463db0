/* SPDX-License-Identifier: Apache-2.0 */
#include "CUV.h"

/* The queue is a ring of two pointers, an array of them before libuv 1.47 and a structure since. */
int rstream_uv_has_new_watchers(const uv_loop_t *loop) {
  const void *ring = &loop->watcher_queue;
  return *(const void *const *)ring != ring;
}

int rstream_uv_spawn(uv_loop_t *loop, uv_process_t *process, uv_exit_cb on_exit, char *const *arguments,
                     char *const *environment, int input, uv_pipe_t *output, uv_pipe_t *errors) {
  uv_stdio_container_t stdio[3] = {
      {.flags = UV_INHERIT_FD, .data.fd = input},
      {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)output},
      {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)errors},
  };
  uv_process_options_t options = {
      .exit_cb = on_exit,
      .file = arguments[0],
      .args = (char **)arguments,
      .env = (char **)environment,
      .cwd = "/",
      .stdio_count = 3,
      .stdio = stdio,
  };
  return uv_spawn(loop, process, &options);
}
