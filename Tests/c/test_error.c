/* SPDX-License-Identifier: Apache-2.0 */
/* Names and texts of codes, and what errors hold. */
#include <rstream.h>
#include <limits.h>
#include <uv.h>

#include "check.h"

int main(void) {
#define OURS(constant, value, name, text)   \
  CHECK_INT(RSTREAM_E##constant, value);    \
  CHECK_STR(rstream_err_name(value), name); \
  CHECK_STR(rstream_strerror(value), text);
  RSTREAM_ERRNO_MAP(OURS)
#define UVS(name, text)                          \
  CHECK_STR(rstream_err_name(UV_##name), #name); \
  CHECK_STR(rstream_strerror(UV_##name), text);
  UV_ERRNO_MAP(UVS)

  const int unknown[] = {1, 42, -9999, -10000, -10014, -20000, INT_MAX, INT_MIN};
  for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
    CHECK_STR(rstream_err_name(unknown[i]), "UNKNOWN");
    CHECK_STR(rstream_strerror(unknown[i]), "unknown error");
  }
  CHECK_STR(rstream_err_name(0), "OK");
  CHECK_STR(rstream_strerror(0), "success");

  CHECK_INT(rstream_error_code(NULL), 0);
  CHECK_INT(rstream_error_engine_code(NULL), 0);
  CHECK(rstream_error_name(NULL) == NULL);
  CHECK(rstream_error_message(NULL) == NULL);
  CHECK(rstream_error_copy(NULL) == NULL);
  rstream_error_free(NULL);

  rstream_config *config = NULL;
  rstream_error *error = NULL;
  CHECK_INT(rstream_config_new(&config), 0);
  CHECK_INT(rstream_config_set(config, "no.such.setting", "1", &error), RSTREAM_EINVALID_CONFIG);
  CHECK(error != NULL);
  rstream_error *copy = rstream_error_copy(error);
  CHECK_INT(rstream_error_code(error), RSTREAM_EINVALID_CONFIG);
  CHECK_STR(rstream_error_name(error), "ERR_RSTREAM_INVALID_CONFIG");
  CHECK(strstr(rstream_error_message(error), "no.such.setting") != NULL);
  rstream_error_free(error);
  CHECK_INT(rstream_error_code(copy), RSTREAM_EINVALID_CONFIG);
  CHECK(strstr(rstream_error_message(copy), "no.such.setting") != NULL);
  rstream_error_free(copy);

  /* A call that succeeds leaves no error of an earlier one behind. */
  CHECK_INT(rstream_config_set(config, "zeroRtt", "false", &error), 0);
  CHECK(error == NULL);
  rstream_config_free(config);
  return 0;
}
