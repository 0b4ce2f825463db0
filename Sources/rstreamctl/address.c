/* SPDX-License-Identifier: Apache-2.0 */
#include "address.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void address_text(const struct sockaddr *address, char *text, size_t size) {
  char host[46] = "";
  bool is_v6 = address->sa_family == AF_INET6;
  int number;
  if (is_v6) {
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    uv_ip6_name(v6, host, sizeof host);
    number = ntohs(v6->sin6_port);
  } else {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    uv_ip4_name(v4, host, sizeof host);
    number = ntohs(v4->sin_port);
  }
  snprintf(text, size, is_v6 ? "[%s]:%d" : "%s:%d", host, number);
}

int address_read(uv_loop_t *uv, const char *text, int type, struct sockaddr_storage *address) {
  char host[256] = "127.0.0.1";
  const char *colon = strrchr(text, ':'), *number = colon ? colon + 1 : text;
  if (colon && colon != text) {
    size_t length = (size_t)(colon - text);
    if (text[0] == '[' && colon[-1] == ']') {
      text++;
      length -= 2;
    } else if (memchr(text, ':', length)) {
      return UV_EINVAL;
    }
    if (length >= sizeof host) return UV_EINVAL;
    memcpy(host, text, length);
    host[length] = '\0';
  }
  char *end = NULL;
  long value = strtol(number, &end, 10);
  if (end == number || *end != '\0' || value < 0 || value > 65535 || *number == '+' || *number == '-') return UV_EINVAL;

  uv_getaddrinfo_t request;
  struct addrinfo hints = {.ai_socktype = type, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
  int status = uv_getaddrinfo(uv, &request, NULL, host, number, &hints);
  if (status != 0) return status;
  memcpy(address, request.addrinfo->ai_addr, request.addrinfo->ai_addrlen);
  uv_freeaddrinfo(request.addrinfo);
  return 0;
}
