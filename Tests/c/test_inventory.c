/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of tunnels and clients, one tunnel, health: what the calls give and what they refuse. */
#include <uv.h>

#include "check.h"
#include "world.h"

struct answer {
  bool done;
  int code, engine_code;
  rstream_inventory *inventory;
};

static void on_inventory(rstream_inventory *inventory, const rstream_error *error, void *data) {
  struct answer *answer = data;
  CHECK(!answer->done && (inventory == NULL) == (error != NULL));
  answer->inventory = inventory;
  answer->code = rstream_error_code(error);
  answer->engine_code = rstream_error_engine_code(error);
  answer->done = true;
}

static void on_check(const rstream_error *error, void *data) {
  struct answer *answer = data;
  CHECK(!answer->done);
  answer->code = rstream_error_code(error);
  answer->engine_code = rstream_error_engine_code(error);
  answer->done = true;
}

static rstream_inventory *list(struct world *world, const rstream_filters *filters, size_t limit) {
  struct answer answer = {0};
  CHECK_INT(rstream_client_list_tunnels(world->client, filters, limit, on_inventory, &answer), 0);
  CHECK(!answer.done);
  run_until(world->loop, &answer.done);
  CHECK_INT(answer.code, 0);
  return answer.inventory;
}

static void expect_count(struct world *world, const rstream_filters *filters, size_t limit, size_t count) {
  rstream_inventory *inventory = list(world, filters, limit);
  CHECK_INT(rstream_inventory_count(inventory), count);
  rstream_inventory_free(inventory);
}

static bool has_name(const rstream_inventory *inventory, const char *name) {
  const char *found;
  for (size_t nth = 0; (found = rstream_inventory_property_name(inventory, 0, nth)); nth++) {
    CHECK(rstream_inventory_property(inventory, 0, found) != NULL);
    if (strcmp(found, name) == 0) return true;
  }
  return false;
}

static void tunnels(struct world *world) {
  const char *web[] = {"name", "web", "protocol", "http", "labels.team", "edge", "trusted_ips", "10.0.0.0/8,127.0.0.1",
                       NULL};
  rstream_tunnel *tunnel = world_create_tunnel(world, web);
  rstream_inventory *inventory = list(world, NULL, 0);
  CHECK_INT(rstream_inventory_count(inventory), 2);

  /* The newest first. */
  const char *name = rstream_inventory_property(inventory, 0, "name");
  CHECK_STR(name, "web");
  CHECK(rstream_inventory_property(inventory, 0, "name") == name);
  CHECK_STR(rstream_inventory_property(inventory, 0, "id"), rstream_tunnel_property(tunnel, "id"));
  CHECK_STR(rstream_inventory_property(inventory, 0, "publish"), "true");
  CHECK_STR(rstream_inventory_property(inventory, 0, "labels.team"), "edge");
  CHECK_STR(rstream_inventory_property(inventory, 0, "trusted_ips"), "10.0.0.0/8,127.0.0.1");
  CHECK_STR(rstream_inventory_property(inventory, 0, "client_id"), rstream_control_client_id(world->control));
  CHECK_STR(rstream_inventory_forwarding_address(inventory, 0), rstream_tunnel_forwarding_address(tunnel));
  CHECK_STR(rstream_inventory_forwarding_address(inventory, 1), "rstrm://echo (unpublished)");
  CHECK(has_name(inventory, "labels.team") && has_name(inventory, "port") && !has_name(inventory, "tls_mode"));
  CHECK_STR(rstream_inventory_property(inventory, 1, "publish"), "false");
  CHECK(rstream_inventory_json(inventory)[0] == '[');
  CHECK(strstr(rstream_inventory_json(inventory), "\"name\":\"web\"") != NULL);

  CHECK(rstream_inventory_property(inventory, 0, "labels.none") == NULL);
  CHECK(rstream_inventory_property(inventory, 0, "labels") == NULL);
  CHECK(rstream_inventory_property(inventory, 2, "name") == NULL);
  CHECK(rstream_inventory_property(inventory, (size_t)-1, "name") == NULL);
  CHECK(rstream_inventory_property(inventory, 0, NULL) == NULL);
  CHECK(rstream_inventory_property_name(inventory, 2, 0) == NULL);
  CHECK(rstream_inventory_property_name(inventory, 0, (size_t)-1) == NULL);
  CHECK(rstream_inventory_forwarding_address(inventory, 2) == NULL);
  rstream_inventory_free(inventory);

  struct answer answer = {0};
  CHECK_INT(rstream_client_get_tunnel(world->client, rstream_tunnel_property(tunnel, "id"), on_inventory, &answer), 0);
  run_until(world->loop, &answer.done);
  CHECK_INT(rstream_inventory_count(answer.inventory), 1);
  CHECK_STR(rstream_inventory_property(answer.inventory, 0, "name"), "web");
  CHECK(rstream_inventory_json(answer.inventory)[0] == '{');
  rstream_inventory_free(answer.inventory);

  answer = (struct answer){0};
  CHECK_INT(rstream_client_get_tunnel(world->client, "web", on_inventory, &answer), 0);
  run_until(world->loop, &answer.done);
  CHECK_INT(answer.code, RSTREAM_EENGINE_API_HTTP);
  CHECK_INT(answer.engine_code, 404);
}

static void filters(struct world *world) {
  rstream_filters *filters = NULL;
  rstream_error *error = NULL;
  CHECK_INT(rstream_filters_new(RSTREAM_TUNNELS, &filters), 0);
  expect_count(world, filters, 0, 2);
  expect_count(world, filters, 1, 1);
  CHECK_INT(rstream_filters_set(filters, "publish", "true", &error), 0);
  expect_count(world, filters, 0, 1);
  CHECK_INT(rstream_filters_set(filters, "publish", NULL, &error), 0);
  CHECK_INT(rstream_filters_set(filters, "labels.team", "core", &error), 0);
  expect_count(world, filters, 0, 0);
  CHECK_INT(rstream_filters_require_label(filters, "team", &error), 0);
  expect_count(world, filters, 0, 1);
  CHECK_INT(rstream_filters_set(filters, "labels.team", NULL, &error), 0);
  expect_count(world, filters, 0, 2);
  CHECK(error == NULL);

  CHECK_INT(rstream_filters_set(filters, "agent", "x", &error), RSTREAM_EINVALID_FILTER);
  CHECK(strstr(rstream_error_message(error), "agent") != NULL);
  rstream_error_free(error);
  CHECK_INT(rstream_filters_set(filters, "publish", "yes", NULL), RSTREAM_EINVALID_FILTER);
  CHECK_INT(rstream_filters_set(filters, "name", "\xff", NULL), UV_EINVAL);
  CHECK_INT(rstream_filters_set(filters, NULL, "x", NULL), UV_EINVAL);
  CHECK_INT(rstream_filters_set(NULL, "name", "x", NULL), UV_EINVAL);
  CHECK_INT(rstream_filters_require_label(filters, "", NULL), RSTREAM_EINVALID_FILTER);
  CHECK_INT(rstream_filters_require_label(filters, NULL, NULL), UV_EINVAL);
  CHECK_INT(rstream_filters_new(2, &filters), UV_EINVAL);
  CHECK_INT(rstream_filters_new(RSTREAM_TUNNELS, NULL), UV_EINVAL);
  CHECK_INT(rstream_client_list_clients(world->client, filters, 0, on_inventory, NULL), UV_EINVAL);
  rstream_filters_free(filters);
  rstream_filters_free(NULL);
}

static void clients(struct world *world) {
  rstream_filters *filters = NULL;
  CHECK_INT(rstream_filters_new(RSTREAM_CLIENTS, &filters), 0);
  CHECK_INT(rstream_filters_set(filters, "agent", "librstream", NULL), 0);
  struct answer answer = {0};
  CHECK_INT(rstream_client_list_clients(world->client, filters, 0, on_inventory, &answer), 0);
  /* They are copied. */
  CHECK_INT(rstream_filters_set(filters, "agent", "nobody", NULL), 0);
  run_until(world->loop, &answer.done);
  CHECK_INT(rstream_inventory_count(answer.inventory), 1);
  CHECK_STR(rstream_inventory_property(answer.inventory, 0, "id"), rstream_control_client_id(world->control));
  CHECK_STR(rstream_inventory_property(answer.inventory, 0, "version"), rstream_version_string());
  CHECK(rstream_inventory_forwarding_address(answer.inventory, 0) == NULL);
  rstream_inventory_free(answer.inventory);
  CHECK_INT(rstream_client_list_tunnels(world->client, filters, 0, on_inventory, &answer), UV_EINVAL);
  rstream_filters_free(filters);
}

static void checks(struct world *world) {
  const char *const what[] = {"live", "ready", "auth"};
  for (int i = 0; i < 3; i++) {
    struct answer answer = {0};
    CHECK_INT(rstream_client_check(world->client, what[i], on_check, &answer), 0);
    CHECK(!answer.done);
    run_until(world->loop, &answer.done);
    CHECK_INT(answer.code, 0);
  }
}

static void refusals(struct world *world) {
  struct answer answer = {0};
  CHECK_INT(rstream_client_list_tunnels(NULL, NULL, 0, on_inventory, &answer), UV_EINVAL);
  CHECK_INT(rstream_client_list_tunnels(world->client, NULL, 0, NULL, &answer), UV_EINVAL);
  CHECK_INT(rstream_client_list_clients(NULL, NULL, 0, on_inventory, &answer), UV_EINVAL);
  CHECK_INT(rstream_client_get_tunnel(world->client, NULL, on_inventory, &answer), UV_EINVAL);
  CHECK_INT(rstream_client_get_tunnel(world->client, " ", on_inventory, &answer), RSTREAM_EINVALID_TUNNEL);
  CHECK_INT(rstream_client_get_tunnel(world->client, "x", NULL, &answer), UV_EINVAL);
  CHECK_INT(rstream_client_check(world->client, "well", on_check, &answer), UV_EINVAL);
  CHECK_INT(rstream_client_check(world->client, NULL, on_check, &answer), UV_EINVAL);
  CHECK_INT(rstream_client_check(world->client, "live", NULL, &answer), UV_EINVAL);
  CHECK_INT(rstream_inventory_count(NULL), 0);
  CHECK(rstream_inventory_json(NULL) == NULL && rstream_inventory_property(NULL, 0, "id") == NULL);
  CHECK(rstream_inventory_property_name(NULL, 0, 0) == NULL && rstream_inventory_forwarding_address(NULL, 0) == NULL);
  rstream_inventory_free(NULL);
  CHECK(!answer.done);

  /* A request under way when its client is closed. */
  CHECK_INT(rstream_client_list_tunnels(world->client, NULL, 0, on_inventory, &answer), 0);
  bool closed = false;
  CHECK_INT(rstream_client_close(world->client, set_flag, &closed), 0);
  CHECK_INT(rstream_client_list_tunnels(world->client, NULL, 0, on_inventory, &answer), RSTREAM_ECLIENT_CLOSED);
  CHECK_INT(rstream_client_check(world->client, "live", on_check, &answer), RSTREAM_ECLIENT_CLOSED);
  run_until(world->loop, &closed);
  CHECK(answer.done);
  CHECK_INT(answer.code, RSTREAM_ECLIENT_CLOSED);
}

int main(void) {
  struct world world;
  world_begin(&world);
  world_open_tunnel(&world);
  CHECK_INT(rstream_has_feature("inventory"), 1);
  tunnels(&world);
  filters(&world);
  clients(&world);
  checks(&world);
  refusals(&world);
  world_end(&world);
  return 0;
}
