/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of clients, tunnels and engines as named strings, and what is said about bad ones. */
#include <rstream.h>
#include <unistd.h>
#include <uv.h>

#include "check.h"

static rstream_error *error;

static void expect_error(int code, int expected, const char *word) {
  CHECK_INT(code, expected);
  CHECK(error != NULL);
  CHECK_INT(rstream_error_code(error), expected);
  if (!strstr(rstream_error_message(error), word)) {
    fprintf(stderr, "\"%s\" does not name \"%s\"\n", rstream_error_message(error), word);
    exit(1);
  }
  rstream_error_free(error);
  error = NULL;
}

static void client_settings(void) {
  rstream_config *config = NULL;
  CHECK_INT(rstream_config_new(NULL), UV_EINVAL);
  CHECK_INT(rstream_config_new(&config), 0);

  CHECK(rstream_config_get(config, "engine") == NULL);
  CHECK_INT(rstream_config_set(config, "engine", "edge.example.com:8443", NULL), 0);
  const char *engine = rstream_config_get(config, "engine");
  CHECK_STR(engine, "edge.example.com:8443");
  CHECK(rstream_config_get(config, "engine") == engine);
  CHECK_INT(rstream_config_set(config, "engine", NULL, NULL), 0);
  CHECK(rstream_config_get(config, "engine") == NULL);

  expect_error(rstream_config_set(config, "engin", "x", &error), RSTREAM_EINVALID_CONFIG, "engin");
  expect_error(rstream_config_set(config, "engine", "https://x", &error), RSTREAM_EINVALID_ENGINE, "engine");
  expect_error(rstream_config_set(config, "zeroRtt", "maybe", &error), RSTREAM_EINVALID_CONFIG, "maybe");
  expect_error(rstream_config_set(config, "timeouts.connectMs", "0", &error), RSTREAM_EINVALID_TIMEOUT, "connectMs");
  expect_error(rstream_config_set(config, NULL, "x", &error), UV_EINVAL, "name");
  expect_error(rstream_config_set(config, "\xff\xfe", "x", &error), UV_EINVAL, "UTF-8");
  expect_error(rstream_config_set(config, "auth.token", "\xc3(", &error), UV_EINVAL, "auth.token");
  expect_error(rstream_config_set(NULL, "engine", "x", &error), UV_EINVAL, "NULL");

  /* A secret in a bad value is not repeated. */
  CHECK_INT(rstream_config_set(config, "auth.token", "se cret", &error), RSTREAM_EINVALID_CONFIG);
  CHECK(strstr(rstream_error_message(error), "cret") == NULL);
  rstream_error_free(error);
  error = NULL;

  setenv("RSTREAM_CONFIG", "/dev/null", 1);
  setenv("RSTREAM_ENGINE", " edge.example.com ", 1);
  setenv("RSTREAM_AUTHENTICATION_TOKEN", "   ", 1);
  setenv("RSTREAM_CA_FILE", "/etc/ca.pem", 1);
  CHECK_INT(rstream_config_set(config, "zeroRtt", "false", NULL), 0);
  CHECK_INT(rstream_config_load(config, &error), 0);
  CHECK_STR(rstream_config_get(config, "engine"), "edge.example.com");
  CHECK_STR(rstream_config_get(config, "zeroRtt"), "false");
  CHECK_STR(rstream_config_get(config, "transport.tls.caFile"), "/etc/ca.pem");
  CHECK(rstream_config_get(config, "auth.token") == NULL);
  CHECK_INT(rstream_config_set(config, "engine", NULL, NULL), 0);
  setenv("RSTREAM_ENGINE", "\xff", 1);
  expect_error(rstream_config_load(config, &error), RSTREAM_EINVALID_ENGINE, "RSTREAM_ENGINE");
  unsetenv("RSTREAM_ENGINE");
  unsetenv("RSTREAM_CA_FILE");

  CHECK(rstream_config_get(NULL, "engine") == NULL);
  CHECK(rstream_config_get(config, NULL) == NULL);
  CHECK(rstream_config_get(config, "no.such.setting") == NULL);
  CHECK_INT(rstream_config_load(NULL, NULL), UV_EINVAL);
  rstream_config_free(config);
  rstream_config_free(NULL);
}

static char seen[256];

static void on_context(const rstream_context *context, void *data) {
  CHECK(data == seen);
  const char *engine = rstream_context_get(context, "engine");
  strcat(strcat(seen, rstream_context_get(context, "name")), engine ? "+" : "-");
  strcat(strcat(seen, rstream_context_get(context, "selected")), " ");
  CHECK(rstream_context_get(context, "auth.token") == NULL);
  CHECK(rstream_context_get(context, NULL) == NULL);
}

/* Lists the contexts of the file that RSTREAM_CONFIG names, and makes another one the default. */
static void contexts(void) {
  rstream_config *config = NULL;
  CHECK_INT(rstream_config_new(&config), 0);
  CHECK_INT(rstream_config_contexts(config, on_context, seen, &error), 0);
  CHECK_STR(seen, "main+true bad+false ");
  CHECK_INT(rstream_config_use_context(config, "bad", &error), 0);
  seen[0] = '\0';
  CHECK_INT(rstream_config_contexts(config, on_context, seen, NULL), 0);
  CHECK_STR(seen, "main+false bad+true ");
  expect_error(rstream_config_use_context(config, "none", &error), RSTREAM_ECONTEXT_NOT_FOUND, "none");
  expect_error(rstream_config_use_context(config, NULL, &error), UV_EINVAL, "name");
  CHECK_INT(rstream_config_use_context(NULL, "main", NULL), UV_EINVAL);
  CHECK_INT(rstream_config_contexts(config, NULL, NULL, NULL), UV_EINVAL);
  CHECK_INT(rstream_config_contexts(NULL, on_context, seen, NULL), UV_EINVAL);
  CHECK(rstream_context_get(NULL, "name") == NULL);
  CHECK_INT(rstream_config_set(config, "configFile", "/nonexistent/directory/config.yaml", NULL), 0);
  CHECK_INT(rstream_config_contexts(config, on_context, seen, NULL), 0);
  CHECK_INT(rstream_config_use_context(config, "main", NULL), UV_ENOENT);
  rstream_config_free(config);
}

/* What a configuration file says, below what is set and the environment. */
static void configuration_file(void) {
  static const char yaml[] =
      "defaults: {context: {name: main}}\n"
      "contexts:\n"
      "- name: main\n"
      "  engine: file.example:8443\n"
      "  auth: {token: {storage: {kind: inline, value: stored-secret}}}\n"
      "  transport: {tls: {caFile: /file.pem}}\n"
      "- name: bad\n"
      "  engine: a b\n";
  char path[] = "/tmp/rstream-config-XXXXXX";
  int fd = mkstemp(path);
  CHECK(fd >= 0);
  CHECK(write(fd, yaml, sizeof yaml - 1) == (ssize_t)(sizeof yaml - 1));
  close(fd);
  setenv("RSTREAM_CONFIG", path, 1);

  rstream_config *config = NULL;
  CHECK_INT(rstream_config_new(&config), 0);
  CHECK_INT(rstream_config_load(config, &error), 0);
  CHECK_STR(rstream_config_get(config, "engine"), "file.example:8443");
  CHECK_STR(rstream_config_get(config, "auth.token"), "stored-secret");
  CHECK_STR(rstream_config_get(config, "transport.tls.caFile"), "/file.pem");
  CHECK_STR(rstream_config_get(config, "configFile"), path);
  CHECK_STR(rstream_config_get(config, "context"), "main");

  setenv("RSTREAM_ENGINE", "other.example", 1);
  CHECK_INT(rstream_config_load(config, &error), RSTREAM_ESTORED_TOKEN_ENGINE_OVERRIDE);
  CHECK_STR(rstream_error_name(error), "ERR_RSTREAM_STORED_TOKEN_ENGINE_OVERRIDE");
  CHECK(strstr(rstream_error_message(error), path) != NULL);
  CHECK(strstr(rstream_error_message(error), "stored-secret") == NULL);
  rstream_error_free(error);
  error = NULL;
  CHECK_STR(rstream_config_get(config, "engine"), "file.example:8443");
  unsetenv("RSTREAM_ENGINE");

  CHECK_INT(rstream_config_set(config, "context", "bad", NULL), 0);
  expect_error(rstream_config_load(config, &error), RSTREAM_EINVALID_ENGINE, ":8: contexts[1].engine: ");
  CHECK_INT(rstream_config_set(config, "context", "none", NULL), 0);
  expect_error(rstream_config_load(config, &error), RSTREAM_ECONTEXT_NOT_FOUND, "\"main\"");
  rstream_config_free(config);
  contexts();
  unlink(path);
  unsetenv("RSTREAM_CONFIG");
}

static void tunnel_properties(void) {
  rstream_tunnel_options *options = NULL;
  CHECK_INT(rstream_tunnel_options_new(NULL), UV_EINVAL);
  CHECK_INT(rstream_tunnel_options_new(&options), 0);
  CHECK_INT(rstream_tunnel_options_set(options, "protocol", "http", NULL), 0);
  CHECK_INT(rstream_tunnel_options_set(options, "labels.team", "edge", NULL), 0);
  CHECK_INT(rstream_tunnel_options_set(options, "labels.team", NULL, NULL), 0);
  expect_error(rstream_tunnel_options_set(options, "protocoll", "http", &error), RSTREAM_EINVALID_TUNNEL, "protocoll");
  expect_error(rstream_tunnel_options_set(options, "id", "1", &error), RSTREAM_EINVALID_TUNNEL, "id");
  expect_error(rstream_tunnel_options_set(options, "port", "65536", &error), RSTREAM_EINVALID_TUNNEL, "port");
  expect_error(rstream_tunnel_options_set(options, "name", "\xff", &error), UV_EINVAL, "UTF-8");
  expect_error(rstream_tunnel_options_set(NULL, "name", "x", &error), UV_EINVAL, "NULL");
  rstream_tunnel_options_free(options);
  rstream_tunnel_options_free(NULL);
}

static void engine_settings(void) {
  rstream_engine_options *options = NULL;
  CHECK_INT(rstream_engine_options_new(NULL), UV_EINVAL);
  CHECK_INT(rstream_engine_options_new(&options), 0);
  CHECK_STR(rstream_engine_options_get(options, "engine.host"), "localhost");
  CHECK_INT(rstream_engine_options_set(options, "tls.listen_addr", "127.0.0.1:0", NULL), 0);
  CHECK_STR(rstream_engine_options_get(options, "tls.listen_addr"), "127.0.0.1:0");
  CHECK_INT(rstream_engine_options_set(options, "tls.listen_addr", NULL, NULL), 0);
  CHECK_STR(rstream_engine_options_get(options, "tls.listen_addr"), ":443");
  CHECK(rstream_engine_options_get(options, "dev.state_dir") == NULL);
  expect_error(rstream_engine_options_set(options, "tls.listen", "x", &error), RSTREAM_EINVALID_CONFIG, "tls.listen");
  expect_error(rstream_engine_options_load_file(options, "/nonexistent/engine.yaml", &error), UV_ENOENT,
               "/nonexistent");

  unsetenv("RSTREAM_ENGINE_CONFIG");
  CHECK_INT(rstream_engine_options_load_file(options, NULL, &error), 0);
  char path[] = "/tmp/rstream-test-XXXXXX";
  int fd = mkstemp(path);
  CHECK(fd >= 0);
  const char yaml[] = "engine:\n  host: edge.example.com\n";
  CHECK(write(fd, yaml, sizeof yaml - 1) == (ssize_t)sizeof yaml - 1);
  close(fd);
  setenv("RSTREAM_ENGINE_CONFIG", path, 1);
  CHECK_INT(rstream_engine_options_load_file(options, NULL, &error), 0);
  CHECK_STR(rstream_engine_options_get(options, "engine.host"), "edge.example.com");
  unlink(path);

  setenv("RSTREAM_ENGINE_LIMITS__CLIENTS", "7", 1);
  CHECK_INT(rstream_engine_options_load_environment(options, &error), 0);
  CHECK_STR(rstream_engine_options_get(options, "limits.clients"), "7");
  setenv("RSTREAM_ENGINE_LIMITS__CLIENTS", "seven", 1);
  expect_error(rstream_engine_options_load_environment(options, &error), RSTREAM_EINVALID_CONFIG,
               "RSTREAM_ENGINE_LIMITS__CLIENTS");
  rstream_engine_options_free(options);
  rstream_engine_options_free(NULL);
}

int main(void) {
  unsetenv("RSTREAM_ENGINE");
  unsetenv("RSTREAM_AUTHENTICATION_TOKEN");
  client_settings();
  configuration_file();
  tunnel_properties();
  engine_settings();
  return 0;
}
