/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CUV_H
#define CUV_H
#include <uv.h>
#endif
