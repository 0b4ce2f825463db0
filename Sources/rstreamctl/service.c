/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "output.h"

void tell_service_manager(const char *state) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const char *path = getenv("NOTIFY_SOCKET");
  if (!path || (*path != '/' && *path != '@')) return;
  size_t length = strlen(path);
  if (length >= sizeof address.sun_path) return;
  memcpy(address.sun_path, path, length);
  /* "@" stands for the zero byte that abstract names begin with. */
  if (*path == '@') address.sun_path[0] = '\0';
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
  int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0 || sendto(descriptor, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, size) < 0) {
    complain("cannot tell the service manager %s through %s", state, path);
  }
  if (descriptor >= 0) close(descriptor);
}
