/* SPDX-License-Identifier: Apache-2.0 */
#include "client_options.h"

#include <stdlib.h>

#include "output.h"

static int set(rstream_config *config, const char *name, const char *value) {
  rstream_error *error = NULL;
  if (rstream_config_set(config, name, value, &error) == 0) return 0;
  return fail_with(error, EXIT_REFUSED);
}

static int set_value(void *config, const option_t *option, const char *value) {
  return set(config, option->setting, value);
}

static int set_true(void *config, const option_t *option, const char *value) {
  (void)value;
  return set(config, option->setting, "true");
}

static int set_false(void *config, const option_t *option, const char *value) {
  (void)value;
  return set(config, option->setting, "false");
}

static int set_named(void *config, const option_t *option, const char *text) {
  char *name = NULL;
  const char *value = NULL;
  int status = options_split(option, text, &name, &value);
  if (status == 0) status = set(config, name, value);
  free(name);
  return status;
}

const option_t client_options[] = {
    {"--engine", "HOST[:PORT]", "the engine (RSTREAM_ENGINE)", set_value, "engine"},
    {"--token", "TOKEN", "token (better: RSTREAM_AUTHENTICATION_TOKEN)", set_value, "auth.token"},
    {"--ca-file", "FILE", "trust these CA certificates too (RSTREAM_CA_FILE)", set_value, "transport.tls.caFile"},
    {"--server-name", "NAME", "the name to find in the engine's certificate", set_value, "transport.tls.serverName"},
    {"--insecure", NULL, "do not verify the engine's certificate", set_true, "transport.tls.insecureSkipVerify"},
    {"--cert", "FILE", "client certificate (RSTREAM_MTLS_CERT_FILE)", set_value, "auth.mtls.certificateFile"},
    {"--key", "FILE", "its private key (RSTREAM_MTLS_KEY_FILE)", set_value, "auth.mtls.keyFile"},
    {"--context", "NAME", "context of the configuration file (RSTREAM_CONTEXT)", set_value, "context"},
    {"--region", "NAME", "region of a managed project (RSTREAM_REGION)", set_value, "region"},
    {"--no-zero-rtt", NULL, "wait for the engine's answer on every stream", set_false, "zeroRtt"},
    {"--config-set", "NAME=VALUE", "any setting of <rstream/config.h>", set_named, NULL},
    {0},
};

int client_make(session_t *session, rstream_config *config, rstream_client **client, rstream_error **error) {
  int status = rstream_config_load(config, error);
  if (status == 0) status = rstream_client_new(session->loop, config, client, error);
  if (status == 0) return 0;
  complain_about(*error);
  return EXIT_REFUSED;
}
