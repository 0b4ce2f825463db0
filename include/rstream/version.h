/* SPDX-License-Identifier: Apache-2.0 */
/**
 * version.h - which library this is and what it can do. Every function here may be called from any thread.
 *
 * What a build can do is told in words:
 *
 * | name              | meaning |
 * |-------------------|---------|
 * | transport.tls     | clients reach the engine over TLS |
 * | transport.quic    | clients reach the engine over QUIC: transport.mode quic, or auto (config.h) |
 * | tunnel.bytestream | tunnels whose streams carry bytes: published ones, private ones and dialing |
 * | tunnel.forward    | rstream_tunnel_forward() |
 * | stream.fd         | rstream_stream_into_fd() |
 * | engine            | the embedded engine (engine.h) |
 * | inventory         | lists of tunnels and clients (inventory.h) |
 * | watch             | watching tunnels and clients come and go, over server-sent events (inventory.h) |
 * | watch.websocket   | the same over WebSocket: RSTREAM_WATCH_WEBSOCKET |
 * | proxy.http        | proxies by HTTP CONNECT: transport.proxy.http (config.h) |
 * | proxy.socks5      | proxies by SOCKS5: transport.proxy.socks5 |
 * | proxy.connect-udp | QUIC through https:// proxies that speak HTTP/3 (RFC 9298): transport.proxy.http |
 * | dns.override      | name servers of one's own: transport.dns.override |
 * | dns.tls           | asked over TLS: transport.dns.tls |
 * | dns.dnssec        | whose answers they have validated: transport.dns.dnssec |
 * | bind              | local address, interface and IP version: transport.bind, transport.ipFamily |
 * | mptcp             | Multipath TCP: transport.mptcp |
 * | doctor            | rstream_doctor() (doctor.h) |
 * | ech               | the ClientHello is encrypted where the engine's DNS records tell how: needs OpenSSL 4 |
 * | tunnel.datagram   | tunnels that carry packets: private ones and dialing (packets.h) |
 * | published.dtls    | published dtls tunnels, in the engine: dtls.enabled (engine.h) |
 * | published.quic    | published quic tunnels, in the engine: quic.enabled (engine.h) |
 */
#ifndef RSTREAM_VERSION_H
#define RSTREAM_VERSION_H

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Version of the headers. The ABI only grows within one major version (SONAME librstream.so.1). */
#define RSTREAM_VERSION_MAJOR 1
#define RSTREAM_VERSION_MINOR 0
#define RSTREAM_VERSION_PATCH 0
#define RSTREAM_VERSION_STRING "1.0.0"
/** The version as one number to compare: 0xMMmmpp. */
#define RSTREAM_VERSION_NUMBER ((RSTREAM_VERSION_MAJOR << 16) | (RSTREAM_VERSION_MINOR << 8) | RSTREAM_VERSION_PATCH)

/**
 * Version of the loaded library.
 * @return "1.0.0" and the like, never NULL; static storage
 */
RSTREAM_API const char *rstream_version_string(void);

/**
 * Version of the loaded library as a number.
 * @return the number, comparable with RSTREAM_VERSION_NUMBER
 */
RSTREAM_API unsigned int rstream_version_number(void);

/**
 * Version of the rstream wire protocol that this library speaks.
 * @return "1.4.5" and the like, never NULL; static storage
 */
RSTREAM_API const char *rstream_protocol_version(void);

/**
 * What this build can do: words of the table above, separated by one space. A word never changes its meaning; new ones
 * are appended.
 * @return the words, never NULL; static storage
 */
RSTREAM_API const char *rstream_features(void);

/**
 * Whether `feature` (may be NULL) is one of the words of rstream_features().
 * @return 1 when it is, 0 when it is not or when `feature` is NULL
 */
RSTREAM_API int rstream_has_feature(const char *feature);

#ifdef __cplusplus
}
#endif

#endif /* RSTREAM_VERSION_H */
