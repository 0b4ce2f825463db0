/* SPDX-License-Identifier: Apache-2.0 */
/**
 * config.h - the settings of a client, as named strings in the vocabulary of config.yaml.
 *
 * | name                             | type   | default | meaning |
 * |----------------------------------|--------|---------|---------|
 * | engine                           | string | -       | engine address, host[:port]; port 443 when absent |
 * | auth.token                       | string | -       | bearer token; excludes the client certificate |
 * | auth.mtls.certificateFile        | path   | -       | client certificate chain, PEM; with keyFile |
 * | auth.mtls.keyFile                | path   | -       | its private key, PEM |
 * | transport.mode                   | string | tls     | tls; auto takes the best there is, which is tls |
 * | transport.tls.caFile             | path   | -       | PEM certificates trusted in addition to the system's |
 * | transport.tls.serverName         | string | -       | name sent as SNI and verified instead of the engine's host |
 * | transport.tls.insecureSkipVerify | bool   | false   | do not verify the engine's certificate (development only) |
 * | zeroRtt                          | bool   | true    | streams start without waiting for the engine's answer |
 * | heartbeat.enabled                | bool   | true    | heartbeats on the control channel |
 * | heartbeat.intervalMs             | int    | 5000    | 1000..300000 milliseconds |
 * | timeouts.connectMs               | int    | 15000   | 1..3600000 milliseconds: name look-up, TCP and TLS |
 * | timeouts.operationMs             | int    | 30000   | 1..3600000 milliseconds: one request to the engine |
 *
 * Booleans are "true" or "false". A config is a plain value: it belongs to no loop, but is used by one thread at a time.
 */
#ifndef RSTREAM_CONFIG_H
#define RSTREAM_CONFIG_H

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Makes an empty config.
 * @param out  receives the config; free it with rstream_config_free()
 * @return 0 or UV_EINVAL
 */
RSTREAM_API int rstream_config_new(rstream_config **out);

/**
 * Sets one setting.
 * @param name   its name in the table above
 * @param value  its value as text; NULL unsets it
 * @return 0; RSTREAM_EINVALID_CONFIG for an unknown name or a bad value, RSTREAM_EINVALID_ENGINE or
 *         RSTREAM_EINVALID_TIMEOUT where these say more; `error` (may be NULL) tells which and why
 */
RSTREAM_API int rstream_config_set(rstream_config *config, const char *name, const char *value, rstream_error **error);

/**
 * The value of a setting as it was set or loaded.
 * @param name  its name in the table above
 * @return the value, borrowed until the setting changes or the config is freed; NULL when unset or unknown
 */
RSTREAM_API const char *rstream_config_get(const rstream_config *config, const char *name);

/**
 * Fills in, below what was set already, what the environment says: RSTREAM_ENGINE, RSTREAM_AUTHENTICATION_TOKEN,
 * RSTREAM_MTLS_CERT_FILE and RSTREAM_MTLS_KEY_FILE, RSTREAM_TUNNEL_TRANSPORT, RSTREAM_CA_FILE (transport.tls.caFile).
 * Values are trimmed; blank means unset.
 * @return 0, or the code of the first value that is invalid; `error` (may be NULL) names the variable
 */
RSTREAM_API int rstream_config_load(rstream_config *config, rstream_error **error);

/** Frees a config, or does nothing for NULL. Clients made from it are not affected. */
RSTREAM_API void rstream_config_free(rstream_config *config);

#ifdef __cplusplus
}
#endif

#endif /* RSTREAM_CONFIG_H */
