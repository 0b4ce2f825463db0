/* SPDX-License-Identifier: Apache-2.0 */
/* rstream_doctor: what it calls and when, also when the loop closes in between. */
#include <string.h>

#include "check.h"
#include "world.h"

struct record {
  int checks;
  int ends;
  bool started;
  bool ended;
  rstream_doctor_status worst;
  rstream_doctor_status statuses[16];
};

static void on_check(const char *name, rstream_doctor_status status, uint64_t microseconds, const char *detail,
                     const char *advice, void *data) {
  static const char *const names[] = {"configuration", "project", "dns", "tcp", "proxy", "tls", "engine", "clock"};
  struct record *record = data;
  CHECK(record->started && !record->ended);
  CHECK(record->checks < 8 && strcmp(name, names[record->checks]) == 0);
  CHECK(detail != NULL);
  CHECK((microseconds == 0) == (status == RSTREAM_DOCTOR_SKIP));
  CHECK((advice != NULL) == (status == RSTREAM_DOCTOR_WARN || status == RSTREAM_DOCTOR_FAIL));
  record->statuses[record->checks++] = status;
}

static void on_end(rstream_doctor_status worst, void *data) {
  struct record *record = data;
  record->ends++;
  record->ended = true;
  record->worst = worst;
}

/* A config for the world's engine; freed by the caller. */
static rstream_config *config_for(const struct world *world) {
  rstream_config *config;
  CHECK_INT(rstream_config_new(&config), 0);
  CHECK_INT(rstream_config_set(config, "engine", rstream_engine_info(world->engine, "address"), NULL), 0);
  CHECK_INT(rstream_config_set(config, "transport.tls.caFile", rstream_engine_info(world->engine, "ca_file"), NULL), 0);
  return config;
}

static void passes(void) {
  struct world world;
  struct record record = {0};
  world_begin(&world);
  rstream_config *config = config_for(&world);
  CHECK_INT(rstream_doctor(world.loop, config, on_check, on_end, &record, NULL), 0);
  rstream_config_free(config);
  record.started = true;
  run_until(world.loop, &record.ended);
  CHECK_INT(record.checks, 8);
  CHECK_INT(record.worst, RSTREAM_DOCTOR_PASS);
  CHECK_INT(record.statuses[6], RSTREAM_DOCTOR_PASS);
  world_end(&world);
  CHECK_INT(record.ends, 1);
}

static void ends_with_the_loop(void) {
  struct world world;
  struct record record = {0};
  world_begin(&world);
  rstream_config *config = config_for(&world);
  CHECK_INT(rstream_doctor(world.loop, config, on_check, on_end, &record, NULL), 0);
  rstream_config_free(config);
  record.started = true;
  world_end(&world);
  CHECK_INT(record.checks, 8);
  CHECK_INT(record.ends, 1);
}

static void finds_an_empty_configuration(void) {
  rstream_loop *loop;
  rstream_config *config;
  struct record record = {0};
  CHECK_INT(rstream_loop_new(&loop), 0);
  CHECK_INT(rstream_config_new(&config), 0);
  CHECK_INT(rstream_doctor(loop, config, on_check, on_end, &record, NULL), 0);
  rstream_config_free(config);
  record.started = true;
  CHECK_INT(rstream_loop_run(loop), 0);
  CHECK_INT(record.checks, 8);
  CHECK_INT(record.worst, RSTREAM_DOCTOR_FAIL);
  CHECK_INT(record.statuses[7], RSTREAM_DOCTOR_SKIP);
  CHECK_INT(rstream_loop_close(loop, NULL, NULL), 0);
}

static void refuses(void) {
  rstream_loop *loop;
  rstream_config *config;
  rstream_error *error = NULL;
  CHECK_INT(rstream_loop_new(&loop), 0);
  CHECK_INT(rstream_config_new(&config), 0);
  CHECK(rstream_doctor(NULL, config, on_check, on_end, NULL, NULL) < 0);
  CHECK(rstream_doctor(loop, NULL, on_check, on_end, NULL, NULL) < 0);
  CHECK(rstream_doctor(loop, config, NULL, on_end, NULL, NULL) < 0);
  CHECK(rstream_doctor(loop, config, on_check, NULL, NULL, &error) < 0);
  CHECK(strstr(rstream_error_message(error), "on_end") != NULL);
  rstream_error_free(error);
  rstream_config_free(config);
  CHECK_INT(rstream_loop_close(loop, NULL, NULL), 0);
}

int main(void) {
  passes();
  ends_with_the_loop();
  finds_an_empty_configuration();
  refuses();
  return 0;
}
