/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into the engine: while the file exists that RSTREAM_NOBUFS names, the system has no memory for what UDP sockets
 * send. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  ssize_t (*next)(int, const struct msghdr *, int) = dlsym(RTLD_NEXT, "sendmsg");
  const char *file = getenv("RSTREAM_NOBUFS");
  int type = 0;
  socklen_t length = sizeof type;
  if (file && access(file, F_OK) == 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
      type == SOCK_DGRAM) {
    errno = ENOBUFS;
    return -1;
  }
  return next(fd, message, flags);
}
