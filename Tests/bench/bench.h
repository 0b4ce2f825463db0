/* SPDX-License-Identifier: Apache-2.0 */
/**
 * bench.h - what the programs of the benchmark share.
 *
 * The local service listens on one port, so that every peer needs one tunnel only. The first byte of a connection says
 * what it is for: an HTTP request begins with its method, the others with one of the letters below.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_UPLOAD 'U'   /* the rest is read and dropped; the bytes read so far are told now and then, 8 bytes LE */
#define BENCH_DOWNLOAD 'D' /* bytes come without end */
#define BENCH_ECHO 'E'     /* everything is echoed, this byte included */

#define BENCH_CHUNK ((size_t)128 * 1024)            /* of one read or write of the bulk measurements */
#define BENCH_ACK_EVERY ((uint64_t)1 * 1024 * 1024) /* bytes of an upload from one progress report to the next */

/** Seconds of the monotonic clock. */
double bench_now(void);

/** Prints what failed with errno's words and exits with 1. */
_Noreturn void bench_fail(const char *what);

/** Allows as many descriptors as this process may have. */
void bench_raise_descriptors(void);

/** Listens on a free port of 127.0.0.1, non-blocking. @return the descriptor; the port goes to `port` */
int bench_listen(int *port);

/** Begins to connect to 127.0.0.1:`port`, non-blocking and with TCP_NODELAY. @return the descriptor */
int bench_connect_start(int port);

/** Connects to 127.0.0.1:`port`, blocking and with TCP_NODELAY. @return the descriptor */
int bench_connect(int port);

/** A UDP socket on a free port of 127.0.0.1. @return the descriptor; the port goes to `port` */
int bench_bind_datagrams(int *port);

/** A UDP socket connected to 127.0.0.1:`port`. @return the descriptor */
int bench_connect_datagrams(int port);

/** Makes a descriptor non-blocking. */
void bench_set_nonblocking(int fd);

/** The measurements of load.c, one a file; arguments come from the command line and are checked there. */
int bench_bulk_upload(int port, double seconds);
int bench_bulk_download(int port, double seconds);
int bench_requests(int port, int connections, double seconds, int keep_alive);
int bench_latency(int port, int count);
int bench_hold(int port, int count);
int bench_packets(int port, double seconds);

#endif /* BENCH_H */
