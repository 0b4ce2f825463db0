/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of local ports, read and written. */
#ifndef RSTREAMCTL_ADDRESS_H
#define RSTREAMCTL_ADDRESS_H

#include <stddef.h>
#include <uv.h>

/* Reads "port", ":port", "host:port" or "[v6]:port". Returns 0 or libuv's code. */
int address_read(uv_loop_t *uv, const char *text, int type, struct sockaddr_storage *address);

/* Writes "127.0.0.1:80" or "[::1]:80". */
void address_text(const struct sockaddr *address, char *text, size_t size);

#endif
