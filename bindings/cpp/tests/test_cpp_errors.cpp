// SPDX-License-Identifier: Apache-2.0
// Errors as values, and exceptions that leave callables and coroutines: none of them enters C.
#include <uv.h>

#include <stdexcept>

#include "support.hpp"

static void codes() {
  // Every code of the C header, in its order.
  static constexpr int wanted[] = {
#define VALUE(constant, value, name, text) value,
      RSTREAM_ERRNO_MAP(VALUE)
#undef VALUE
  };
  using rstrm::errc;
  static constexpr errc all[] = {errc::engine,
                                 errc::protocol,
                                 errc::frame_too_large,
                                 errc::control_closed,
                                 errc::control_liveness,
                                 errc::control_overload,
                                 errc::operation_timeout,
                                 errc::tunnel_closed,
                                 errc::client_closed,
                                 errc::stream_closed,
                                 errc::engine_closed,
                                 errc::loop_closed,
                                 errc::wrong_thread,
                                 errc::auth_conflict,
                                 errc::auth_required,
                                 errc::token_expired,
                                 errc::mtls_incomplete,
                                 errc::tls,
                                 errc::invalid_config,
                                 errc::invalid_engine,
                                 errc::engine_required,
                                 errc::invalid_timeout,
                                 errc::invalid_tunnel,
                                 errc::unsupported_tunnel,
                                 errc::unsupported_transport,
                                 errc::invalid_local_endpoint,
                                 errc::backlog_full,
                                 errc::context_not_found,
                                 errc::context_ambiguous,
                                 errc::invalid_api_url,
                                 errc::invalid_region,
                                 errc::region_engine_conflict,
                                 errc::region_unavailable,
                                 errc::region_ambiguous,
                                 errc::project_endpoint_required,
                                 errc::stored_token_engine_override,
                                 errc::stored_mtls_engine_override,
                                 errc::unsupported_token_storage,
                                 errc::unsupported_mtls_storage,
                                 errc::engine_resolution,
                                 errc::api_http,
                                 errc::api_invalid_response,
                                 errc::proxy,
                                 errc::engine_api_http,
                                 errc::engine_api_payload,
                                 errc::invalid_filter,
                                 errc::event_json,
                                 errc::engine_discovery};
  CHECK_EQ(std::size(all), std::size(wanted));
  for (std::size_t i = 0; i < std::size(all); i++) CHECK_EQ(static_cast<int>(all[i]), wanted[i]);
  const std::error_code code = rstrm::errc::backlog_full;
  CHECK_EQ(code.value(), RSTREAM_EBACKLOG_FULL);
  CHECK_EQ(code.category().name(), std::string("rstream"));
  CHECK_EQ(code.message(), "too many streams wait to be accepted");
  CHECK(rstrm::error(UV_ECONNREFUSED).code() == std::errc::connection_refused);
  CHECK(rstrm::error(UV_EOF).code() != std::errc::connection_refused);
  CHECK_EQ(rstrm::error(UV_ECONNREFUSED).name(), std::string("ECONNREFUSED"));
}

static void settings() {
  rstrm::config config;
  const auto unknown = config.set("engin", "localhost");
  CHECK(!unknown && unknown.code() == rstrm::errc::invalid_config);
  CHECK(unknown.error().message().find("engin") != std::string::npos);
  config.set("timeouts.connectMs", 1000).value();
  CHECK_EQ(*config.get("timeouts.connectMs"), "1000");
  config.unset("timeouts.connectMs").value();
  CHECK(!config.get("timeouts.connectMs"));
  rstrm::engine_options options;
  CHECK_EQ(*options.get("limits.clients"), "10000");
  CHECK(options.load_file("/nonexistent").code() == std::errc::no_such_file_or_directory);

  auto loop = rstrm::loop::create().value();
  CHECK(rstrm::client::create(loop, {}).code() == rstrm::errc::engine_required);
  bool caught = false;
  try {
    rstrm::client::create(loop, {}).value();
  } catch (const rstrm::exception &thrown) {
    caught = true;
    CHECK(thrown.code() == rstrm::errc::engine_required);
    CHECK_EQ(thrown.error().name(), std::string("ERR_RSTREAM_ENGINE_REQUIRED"));
  }
  CHECK(caught);
  const auto moved = std::move(loop);
  CHECK(loop.run().code() == rstrm::errc::loop_closed);
  CHECK(loop.spawn([]() -> rstrm::task<> { co_return; }()).code() == rstrm::errc::loop_closed);
}

// What the engine refuses, what the network refuses, and operations that cannot even start.
static rstrm::task<> refusals(world &world) {
  const auto client = world.make_client(false);
  auto unknown = co_await const_cast<rstrm::client &>(client).dial("nobody");
  CHECK(unknown.code() == rstrm::errc::engine);
  CHECK_EQ(unknown.error().engine_code(), RSTREAM_ENGINE_TUNNEL_NOT_FOUND);
  CHECK((co_await world.client.dial(" ")).code() == rstrm::errc::invalid_tunnel);

  auto control = (co_await world.client.connect()).value();
  rstrm::tunnel_options impossible;
  impossible.set("type", "datagram").value();
  impossible.set("publish", "true").value();
  CHECK((co_await control.create_tunnel(impossible)).code() == rstrm::errc::invalid_tunnel);
  bool called = false;
  CHECK(!control.create_tunnel(impossible, [&](rstrm::result<rstrm::tunnel>) { called = true; }));
  CHECK(!called);

  // A tunnel that ends with its engine answers who waits for its streams.
  auto tunnel = (co_await control.create_tunnel(private_tunnel("t"))).value();
  int ends = 0;
  tunnel.on_end([&](rstrm::result<void>) { ++ends; }).value();
  control.on_end([&](rstrm::result<void>) { ++ends; }).value();
  auto accepting = tunnel.accept();
  (co_await world.engine.stop()).value();
  CHECK(!(co_await accepting) && !(co_await tunnel.accept()));
  while (ends < 2) CHECK(!co_await world.client.connect());
  CHECK((co_await world.client.connect()).code() == std::errc::connection_refused);
}

template <class F>
static std::string thrown_by(F &&body) {
  try {
    body();
  } catch (const std::exception &thrown) {
    return thrown.what();
  }
  return "nothing";
}

static rstrm::task<int> fails(std::string what) {
  throw std::runtime_error(what);
  co_return 1;
}

static void exceptions_leave_run() {
  world world;
  world.client.connect([](rstrm::result<rstrm::control>) { throw std::runtime_error("connect"); }).value();
  CHECK_EQ(thrown_by([&] { world.loop.run().value(); }), "connect");
  world.loop.post([] { throw std::runtime_error("post"); }).value();
  CHECK_EQ(thrown_by([&] { world.loop.run().value(); }), "post");
  // The loop goes on working.
  rstrm::control control;
  world.loop.run([](struct world &in, rstrm::control &out) -> rstrm::task<> {
    out = (co_await in.client.connect()).value();
  }(world, control));
  control.close([] { throw std::runtime_error("close"); }).value();
  CHECK_EQ(thrown_by([&] { world.loop.run().value(); }), "close");
  CHECK_EQ(thrown_by([&] { world.loop.run(fails("task")); }), "task");
  const auto spawned = []() -> rstrm::task<> { co_await fails("spawned"); };
  world.loop.spawn(spawned()).value();
  CHECK_EQ(thrown_by([&] { world.loop.run().value(); }), "spawned");
}

static void exceptions_go_to_the_handler() {
  world world;
  std::string heard;
  world.loop.on_exception([&](std::exception_ptr thrown) {
    heard = thrown_by([&] { std::rethrow_exception(thrown); });
    world.loop.stop().value();
  });
  world.client.connect([](rstrm::result<rstrm::control>) { throw std::runtime_error("connect"); }).value();
  world.loop.run().value();
  CHECK_EQ(heard, "connect");
}

static void exceptions_wait_on_a_wrapped_loop() {
  uv_loop_t uv;
  CHECK_EQ(uv_loop_init(&uv), 0);
  {
    auto loop = rstrm::loop::wrap(&uv).value();
    const auto spawned = []() -> rstrm::task<> { co_await fails("spawned"); };
    loop.spawn(spawned()).value();
    loop.close([] { throw std::runtime_error("a second one"); }).value();
    CHECK_EQ(uv_run(&uv, UV_RUN_DEFAULT), 0);
    CHECK_EQ(thrown_by([&] { loop.rethrow(); }), "spawned");
    CHECK_EQ(thrown_by([&] { loop.rethrow(); }), "nothing");
  }
  CHECK_EQ(uv_loop_close(&uv), 0);
}

// A task that waits for something that never comes is an error, not a hang.
static void nothing_left() {
  auto loop = rstrm::loop::create().value();
  const auto waits = []() -> rstrm::task<> { co_await std::suspend_always(); };
  CHECK_EQ(thrown_by([&] { loop.run(waits()); }), "the loop has nothing left to wait for, and the task has not ended");
}

int main() {
  codes();
  settings();
  {
    world world;
    world.loop.run(refusals(world));
  }
  exceptions_leave_run();
  exceptions_go_to_the_handler();
  exceptions_wait_on_a_wrapped_loop();
  nothing_left();
}
