/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CUV_H
#define CUV_H
#include <uv.h>

/** Whether descriptors are watched, or watched for other events, that the loop's backend has not been told of yet. */
int rstream_uv_has_new_watchers(const uv_loop_t *loop);

#endif
