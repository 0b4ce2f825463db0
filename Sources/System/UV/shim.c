/* SPDX-License-Identifier: Apache-2.0 */
#include "CUV.h"

/* The queue is a ring of two pointers, an array of them before libuv 1.47 and a structure since. */
int rstream_uv_has_new_watchers(const uv_loop_t *loop) {
  const void *ring = &loop->watcher_queue;
  return *(const void *const *)ring != ring;
}
