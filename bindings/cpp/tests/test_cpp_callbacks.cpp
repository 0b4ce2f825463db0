// SPDX-License-Identifier: Apache-2.0
// Engine, client, tunnel and streams on one loop, with callables alone.
#include <thread>

#include "support.hpp"

// Bytes that do not fit into one chunk come back as they were sent, and each callable goes when it is done.
static void echo_by_callables() {
  world world;
  const std::string sent(300'000, 'x');
  std::string received;
  rstrm::control control;
  rstrm::tunnel tunnel;
  auto held = std::make_shared<int>(0);

  const auto serve = [held](rstrm::stream incoming) {
    auto stream = std::make_shared<rstrm::stream>(std::move(incoming));
    stream
        ->read_start([stream, held](rstrm::result<std::span<const std::byte>> bytes) {
          if (!bytes.value().empty()) return stream->send(*bytes).value();
          stream->shutdown([stream](rstrm::result<void> done) { done.value(); }).value();
        })
        .value();
  };
  const auto talk = [&](rstrm::result<rstrm::stream> dialed) {
    auto stream = std::make_shared<rstrm::stream>(std::move(dialed).value());
    stream
        ->read_start([&, stream, held](rstrm::result<std::span<const std::byte>> bytes) {
          received += rstrm::text(bytes.value());
          if (bytes.value().empty()) world.loop.stop().value();
        })
        .value();
    stream
        ->write(sent,
                [stream](rstrm::result<void> done) {
                  done.value();
                  stream->shutdown([](rstrm::result<void> ended) { ended.value(); }).value();
                })
        .value();
  };
  // Callables may be move-only.
  auto token = std::make_unique<int>(7);
  const auto started = world.client.connect([&, token = std::move(token)](rstrm::result<rstrm::control> connected) {
    CHECK_EQ(*token, 7);
    control = std::move(connected).value();
    CHECK(!control.client_id().empty());
    control
        .create_tunnel(private_tunnel("echo"),
                       [&](rstrm::result<rstrm::tunnel> created) {
                         tunnel = std::move(created).value();
                         CHECK_EQ(*tunnel.property("name"), "echo");
                         CHECK(!tunnel.property("hostname"));
                         CHECK(tunnel.property_name(0) && !tunnel.property_name(1000));
                         CHECK_EQ(tunnel.forwarding_address(), "rstrm://echo (unpublished)");
                         tunnel.listen(serve).value();
                         world.client.dial("echo", talk).value();
                       })
        .value();
  });
  CHECK(started);
  CHECK(world.loop.run().value());
  CHECK(received == sent);

  bool closed = false;
  tunnel
      .close([&] {
        closed = true;
        world.loop.stop().value();
      })
      .value();
  CHECK(!tunnel && !closed);
  CHECK(world.loop.run().value());
  CHECK(closed);
}

// A callable that replaces itself while it runs is not destroyed under its own feet.
static void replaced_while_running() {
  world world;
  rstrm::control control;
  rstrm::tunnel tunnel;
  std::string seen;
  world.client
      .connect([&](rstrm::result<rstrm::control> connected) {
        control = std::move(connected).value();
        control
            .create_tunnel(private_tunnel("t"),
                           [&](rstrm::result<rstrm::tunnel> created) {
                             tunnel = std::move(created).value();
                             tunnel
                                 .listen([&, name = std::string(100, 'a')](rstrm::stream) {
                                   tunnel
                                       .listen([&](rstrm::stream) {
                                         seen += 'b';
                                         world.loop.stop().value();
                                       })
                                       .value();
                                   seen += name.back();
                                   world.client.dial("t", [](rstrm::result<rstrm::stream>) {}).value();
                                 })
                                 .value();
                             world.client.dial("t", [](rstrm::result<rstrm::stream>) {}).value();
                           })
            .value();
      })
      .value();
  CHECK(world.loop.run().value());
  CHECK_EQ(seen, "ab");
}

// Posting from another thread, in order.
static void post() {
  auto loop = rstrm::loop::create().value();
  const world keeps_it_alive;
  std::string seen;
  std::thread thread;
  loop.post([&, only_moved = std::make_unique<int>(1)] { seen += 'a'; }).value();
  thread = std::thread([&] {
    loop.post([&] { seen += 'b'; }).value();
    CHECK(loop.stop().code() == rstrm::errc::wrong_thread);
  });
  thread.join();
  while (seen.size() < 2) loop.run_nowait().value();
  CHECK_EQ(seen, "ab");
  CHECK(loop.fd().value() >= 0);
  CHECK_EQ(loop.timeout().value(), -1);
}

int main() {
  echo_by_callables();
  replaced_while_running();
  post();
}
