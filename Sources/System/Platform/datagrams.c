/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "datagrams.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

static void set(int fd, int level, int option, int value) {
  (void)setsockopt(fd, level, option, &value, sizeof value);
}

void rstream_datagram_prepare(int fd, int family, int wants_local, int fragments) {
  set(fd, IPPROTO_UDP, UDP_GRO, 1);
  /* An IPv6 socket may carry IPv4 as well. */
  set(fd, IPPROTO_IP, IP_MTU_DISCOVER, fragments ? IP_PMTUDISC_DONT : IP_PMTUDISC_PROBE);
  set(fd, IPPROTO_IP, IP_RECVTOS, 1);
  if (wants_local) set(fd, IPPROTO_IP, IP_PKTINFO, 1);
  if (family != AF_INET6) return;
  set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, fragments ? IPV6_PMTUDISC_DONT : IPV6_PMTUDISC_PROBE);
  set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
  if (wants_local) set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

static int sized(int fd, int forced, int asked, int wanted) {
  int got = 0;
  socklen_t length = sizeof got;
  if (setsockopt(fd, SOL_SOCKET, forced, &wanted, sizeof wanted) != 0) set(fd, SOL_SOCKET, asked, wanted);
  return getsockopt(fd, SOL_SOCKET, asked, &got, &length) == 0 ? got : 0;
}

void rstream_datagram_buffers(int fd, int wanted, int *receive, int *send) {
  *receive = sized(fd, SO_RCVBUFFORCE, SO_RCVBUF, wanted);
  *send = sized(fd, SO_SNDBUFFORCE, SO_SNDBUF, wanted);
}

/* Room for: segment size, traffic class, packet information of both families. */
typedef union control {
  struct cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int)) * 3 + CMSG_SPACE(sizeof(struct in6_pktinfo)) +
             CMSG_SPACE(sizeof(struct in_pktinfo))];
} control;

static void local_v4(rstream_datagrams *message, const void *data, uint16_t port) {
  struct in_pktinfo info;
  struct sockaddr_in *local = (struct sockaddr_in *)&message->local;
  memcpy(&info, data, sizeof info);
  /* On a socket of both families the remote address is an IPv6 one: so must this be. */
  if (message->remote.ss_family == AF_INET6) {
    struct sockaddr_in6 *mapped = (struct sockaddr_in6 *)&message->local;
    memset(mapped, 0, sizeof *mapped);
    mapped->sin6_family = AF_INET6;
    mapped->sin6_port = htons(port);
    mapped->sin6_addr.s6_addr[10] = mapped->sin6_addr.s6_addr[11] = 0xFF;
    memcpy(&mapped->sin6_addr.s6_addr[12], &info.ipi_addr, 4);
    message->local_length = sizeof *mapped;
    return;
  }
  memset(local, 0, sizeof *local);
  local->sin_family = AF_INET;
  local->sin_port = htons(port);
  local->sin_addr = info.ipi_addr;
  message->local_length = sizeof *local;
}

static void local_v6(rstream_datagrams *message, const void *data, uint16_t port) {
  struct in6_pktinfo info;
  struct sockaddr_in6 *local = (struct sockaddr_in6 *)&message->local;
  memcpy(&info, data, sizeof info);
  memset(local, 0, sizeof *local);
  local->sin6_family = AF_INET6;
  local->sin6_port = htons(port);
  local->sin6_addr = info.ipi6_addr;
  if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) local->sin6_scope_id = info.ipi6_ifindex;
  message->local_length = sizeof *local;
}

static void read_control(rstream_datagrams *message, struct msghdr *header, uint16_t port) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
    const void *data = CMSG_DATA(c);
    int number = 0;
    if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
      memcpy(&number, data, sizeof number);
      if (number > 0) message->segment = (size_t)number;
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
      message->ecn = *(const uint8_t *)data & 3;
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
      memcpy(&number, data, sizeof number);
      message->ecn = (uint32_t)number & 3;
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      local_v4(message, data, port);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      local_v6(message, data, port);
    }
  }
}

int rstream_datagram_receive(int fd, uint8_t *memory, rstream_datagrams *messages, uint16_t port) {
  struct mmsghdr headers[RSTREAM_DATAGRAM_MESSAGES];
  struct iovec vectors[RSTREAM_DATAGRAM_MESSAGES];
  control controls[RSTREAM_DATAGRAM_MESSAGES];
  memset(headers, 0, sizeof headers);
  for (int i = 0; i < RSTREAM_DATAGRAM_MESSAGES; i++) {
    vectors[i].iov_base = memory + (size_t)i * RSTREAM_DATAGRAM_ROOM;
    vectors[i].iov_len = RSTREAM_DATAGRAM_ROOM;
    headers[i].msg_hdr.msg_iov = &vectors[i];
    headers[i].msg_hdr.msg_iovlen = 1;
    headers[i].msg_hdr.msg_name = &messages[i].remote;
    headers[i].msg_hdr.msg_namelen = sizeof messages[i].remote;
    headers[i].msg_hdr.msg_control = &controls[i];
    headers[i].msg_hdr.msg_controllen = sizeof controls[i];
  }
  int count = recvmmsg(fd, headers, RSTREAM_DATAGRAM_MESSAGES, MSG_DONTWAIT, NULL);
  if (count < 0) return -errno;
  for (int i = 0; i < count; i++) {
    rstream_datagrams *message = &messages[i];
    message->bytes = vectors[i].iov_base;
    message->length = headers[i].msg_hdr.msg_flags & MSG_TRUNC ? 0 : headers[i].msg_len;
    message->segment = message->length;
    message->ecn = 0;
    message->remote_length = headers[i].msg_hdr.msg_namelen;
    message->local_length = 0;
    read_control(message, &headers[i].msg_hdr, port);
  }
  return count;
}

static struct cmsghdr *add(struct msghdr *header, struct cmsghdr *after, int level, int type, const void *data,
                           size_t length) {
  struct cmsghdr *c = after ? CMSG_NXTHDR(header, after) : CMSG_FIRSTHDR(header);
  if (!c) return after;
  c->cmsg_level = level;
  c->cmsg_type = type;
  c->cmsg_len = CMSG_LEN(length);
  memcpy(CMSG_DATA(c), data, length);
  return c;
}

static int is_mapped(const struct sockaddr_storage *address) {
  return address->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

static struct cmsghdr *add_local(struct msghdr *header, struct cmsghdr *last, const struct sockaddr_storage *local) {
  const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)local;
  if (local->ss_family == AF_INET || is_mapped(local)) {
    struct in_pktinfo info = {0};
    if (local->ss_family == AF_INET)
      info.ipi_spec_dst = ((const struct sockaddr_in *)local)->sin_addr;
    else
      memcpy(&info.ipi_spec_dst, &v6->sin6_addr.s6_addr[12], 4);
    return add(header, last, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
  }
  if (local->ss_family != AF_INET6) return last;
  struct in6_pktinfo info = {0};
  info.ipi6_addr = v6->sin6_addr;
  info.ipi6_ifindex = v6->sin6_scope_id;
  return add(header, last, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
}

long rstream_datagram_send(int fd, const void *bytes, size_t length, size_t segment, uint32_t ecn, int connected,
                           const void *remote, socklen_t remote_length, const void *local) {
  struct iovec vector = {(void *)bytes, length};
  control room;
  struct msghdr header = {0};
  struct cmsghdr *last = NULL;
  struct sockaddr_storage target = {0}, source = {0};
  memset(&room, 0, sizeof room);
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  header.msg_control = &room;
  header.msg_controllen = sizeof room;
  if (remote_length > sizeof target) return -EINVAL;
  memcpy(&target, remote, remote_length);
  if (!connected) {
    header.msg_name = &target;
    header.msg_namelen = remote_length;
  }
  if (ecn) {
    int value = (int)ecn;
    if (target.ss_family == AF_INET6 && !is_mapped(&target))
      last = add(&header, last, IPPROTO_IPV6, IPV6_TCLASS, &value, sizeof value);
    else
      last = add(&header, last, IPPROTO_IP, IP_TOS, &value, sizeof value);
  }
  if (length > segment) {
    uint16_t size = (uint16_t)segment;
    last = add(&header, last, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size);
  }
  if (!connected) {
    socklen_t size = ((const struct sockaddr *)local)->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                                             : sizeof(struct sockaddr_in);
    memcpy(&source, local, size);
    last = add_local(&header, last, &source);
  }
  header.msg_controllen = last ? (size_t)((char *)last - (char *)&room) + CMSG_ALIGN(last->cmsg_len) : 0;
  if (!last) header.msg_control = NULL;
  ssize_t sent = sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent < 0 ? -errno : sent;
}
