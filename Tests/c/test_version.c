/* SPDX-License-Identifier: Apache-2.0 */
/* The loaded library is the one that the headers describe, and says what it can do. */
#include <rstream.h>

#include "check.h"

int main(void) {
  CHECK_STR(rstream_version_string(), RSTREAM_VERSION_STRING);
  CHECK_INT(rstream_version_number(), RSTREAM_VERSION_NUMBER);
  CHECK_STR(rstream_protocol_version(), "1.4.5");
  CHECK(rstream_version_string() == rstream_version_string());

  CHECK_INT(rstream_has_feature("transport.tls"), 1);
  CHECK_INT(rstream_has_feature("engine"), 1);
  CHECK_INT(rstream_has_feature("transport"), 0);
  CHECK_INT(rstream_has_feature(""), 0);
  CHECK_INT(rstream_has_feature("\xff"), 0);
  CHECK_INT(rstream_has_feature(NULL), 0);

  char *words = strdup(rstream_features());
  int count = 0;
  for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) {
    CHECK_INT(rstream_has_feature(word), 1);
    count++;
  }
  CHECK(count > 0);
  free(words);
  return 0;
}
