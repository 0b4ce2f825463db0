/* SPDX-License-Identifier: Apache-2.0 */
/* UDP in batches: what sendmsg and recvmmsg need of control messages, which Swift cannot import. */
#ifndef RSTREAM_DATAGRAMS_H
#define RSTREAM_DATAGRAMS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
  /* Messages taken by one call. */
  RSTREAM_DATAGRAM_MESSAGES = 4,
  /* Room for each: the kernel joins packets of one sender up to this (UDP_GRO). */
  RSTREAM_DATAGRAM_ROOM = 65536,
};

/* What has arrived in one message: packets of `segment` bytes each, the last may be shorter. */
typedef struct rstream_datagrams {
  const uint8_t *bytes;
  size_t length;
  size_t segment;
  uint32_t ecn;
  socklen_t remote_length;
  socklen_t local_length; /* 0 when the own address is not known */
  struct sockaddr_storage remote;
  struct sockaddr_storage local;
} rstream_datagrams;

/* Sets what a socket for QUIC wants: joined packets, ECN, the own address of each packet when `wants_local`, and no
 * fragmentation unless it `fragments`: QUIC finds the path MTU by probing. What the system does not know is left out. */
void rstream_datagram_prepare(int fd, int family, int wants_local, int fragments);

/* Asks for socket buffers of `wanted` bytes and writes what there is afterwards. */
void rstream_datagram_buffers(int fd, int wanted, int *receive, int *send);

/* Receives up to RSTREAM_DATAGRAM_MESSAGES messages into `memory`, which has RSTREAM_DATAGRAM_ROOM bytes for each.
 * `port` is that of the socket, for the own addresses. Returns the count or -errno. */
int rstream_datagram_receive(int fd, uint8_t *memory, rstream_datagrams *messages, uint16_t port);

/* Sends packets of `segment` bytes each that lie one behind the other; the last may be shorter. The addresses are those
 * of the peer and of this side; `connected` sockets know them, and look at the family of `remote` only. Returns the count of bytes or -errno. */
long rstream_datagram_send(int fd, const void *bytes, size_t length, size_t segment, uint32_t ecn, int connected,
                           const void *remote, socklen_t remote_length, const void *local);

#endif
