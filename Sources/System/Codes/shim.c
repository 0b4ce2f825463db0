/* SPDX-License-Identifier: Apache-2.0 */
#include "CCodes.h"

#include <rstream/error.h>
#include <uv.h>

const char *rstream_code_name(int code) {
  switch (code) {
#define OURS(constant, value, name, text) \
  case value:                             \
    return name;
    RSTREAM_ERRNO_MAP(OURS)
#undef OURS
#define UVS(name, text) \
  case UV_##name:       \
    return #name;
    UV_ERRNO_MAP(UVS)
#undef UVS
  }
  return NULL;
}

const char *rstream_code_text(int code) {
  switch (code) {
#define OURS(constant, value, name, text) \
  case value:                             \
    return text;
    RSTREAM_ERRNO_MAP(OURS)
#undef OURS
#define UVS(name, text) \
  case UV_##name:       \
    return text;
    UV_ERRNO_MAP(UVS)
#undef UVS
  }
  return NULL;
}
