/* SPDX-License-Identifier: Apache-2.0 */
#include <rstream.h>
#include <stdio.h>

int main(void) {
  rstream_loop *loop = NULL;
  int code = rstream_loop_new(&loop);
  if (code == 0) code = rstream_loop_run(loop);
  if (code == 0) code = rstream_loop_close(loop, NULL, NULL);
  if (code != 0) {
    fprintf(stderr, "%s\n", rstream_strerror(code));
    return 1;
  }
  printf("librstream %s\n", rstream_version_string());
  return 0;
}
