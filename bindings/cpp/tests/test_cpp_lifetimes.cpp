// SPDX-License-Identifier: Apache-2.0
// Handles destroyed in every order, from outside and inside callables, with operations under way: nothing is touched
// after it is gone and everything that was moved into a callable is destroyed.
#include <algorithm>
#include <array>
#include <thread>

#include "support.hpp"

using bytes = rstrm::result<std::span<const std::byte>>;

struct scene {
  std::optional<world> world_;
  rstrm::control control;
  rstrm::tunnel tunnel, datagrams;
  rstrm::stream dialed, accepted;
  rstrm::packets near, far;
  std::shared_ptr<int> held = std::make_shared<int>(0);

  scene() : world_(std::in_place) {
    world_->loop.run(begin());
    dialed.read_start([held = held](bytes) {}).value();
    accepted.read_start([held = held](bytes) {}).value();
    near.read_start([held = held](rstrm::result<rstrm::received_packet>) {}).value();
    far.on_drain([held = held] {}).value();
    tunnel.listen([held = held](rstrm::stream) {}).value();
    datagrams.listen_packets([held = held](rstrm::packets) {}).value();
    tunnel.on_end([held = held](rstrm::result<void>) {}).value();
    control.on_end([held = held](rstrm::result<void>) {}).value();
    // Under way, whatever becomes of them.
    accepted.write("hello", [held = held](rstrm::result<void>) {}).value();
    far.send("hello").value();
    world_->client.dial("t", [held = held](rstrm::result<rstrm::stream>) {}).value();
    world_->client.dial_packets("d", [held = held](rstrm::result<rstrm::packets>) {}).value();
    world_->client.connect([held = held](rstrm::result<rstrm::control>) {}).value();
    control.create_tunnel(rstrm::tunnel_options(), [held = held](rstrm::result<rstrm::tunnel>) {}).value();
    world_->loop.post([held = held] {}).value();
  }
  rstrm::task<> begin() {
    control = (co_await world_->client.connect()).value();
    tunnel = (co_await control.create_tunnel(private_tunnel("t"))).value();
    auto accepting = tunnel.accept();
    dialed = (co_await world_->client.dial("t")).value();
    accepted = (co_await accepting).value();
    auto options = private_tunnel("d");
    options.set("type", "datagram").value();
    datagrams = (co_await control.create_tunnel(options)).value();
    auto accepting_packets = datagrams.accept_packets();
    near = (co_await world_->client.dial_packets("d")).value();
    far = (co_await accepting_packets).value();
  }
  void drop(int part) {
    switch (part) {
      case 0:
        dialed = {};
        near = {};
        break;
      case 1:
        accepted = {};
        far = {};
        break;
      case 2:
        tunnel = {};
        datagrams = {};
        break;
      case 3:
        control = {};
        break;
      case 4:
        world_->client = {};
        break;
      case 5:
        world_->engine = {};
        break;
      default:
        break;
    }
  }
};

static constexpr int parts = 6;

// All 720 orders take too long under valgrind; some of them meet each pair of neighbours many times.
static void orders() {
  std::array<int, parts> order{0, 1, 2, 3, 4, 5};
  int index = 0;
  do {
    if (index++ % 101 != 0) continue;
    for (const bool turns : {false, true}) {
      scene scene;
      for (const int part : order) {
        scene.drop(part);
        if (turns) scene.world_->loop.run_nowait().value();
      }
      scene.world_.reset();
      CHECK_EQ(scene.held.use_count(), 1);
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

// The loop goes first; the handles are left over.
static void loop_first() {
  scene scene;
  scene.world_.reset();
  CHECK_EQ(scene.held.use_count(), 1);
  CHECK(!scene.dialed && !scene.near && !scene.tunnel && !scene.control);
  CHECK(scene.dialed.send("x").code() == std::errc::invalid_argument);
  CHECK(scene.near.send("x").code() == std::errc::invalid_argument);
  CHECK_EQ(scene.dialed.peer(), "");
  CHECK(!scene.tunnel.property("name"));
}

// A handle that is destroyed by its own callable.
static void inside_a_callable() {
  for (int part = 0; part <= parts; part++) {
    scene scene;
    bool called = false;
    scene.dialed.read_stop().value();
    scene.dialed
        .read_start([&, held = scene.held](bytes) {
          if (std::exchange(called, true)) return;
          const auto *before = held.get();
          scene.drop(part);
          if (part == parts) scene.world_->loop = rstrm::loop(std::move(scene.world_->loop));
          CHECK(before == held.get());
          if (part != 4) scene.world_->client = {};
        })
        .value();
    while (!called) scene.world_->loop.run_nowait().value();
    scene.world_.reset();
    CHECK_EQ(scene.held.use_count(), 1);
  }
}

// The loop is destroyed by a callable on it; the run() around it finishes the work.
static void loop_inside() {
  auto *loop = new rstrm::loop(rstrm::loop::create().value());
  const world other;
  bool closed = false;
  loop->post([&] {
        loop->close([&] { closed = true; }).value();
        delete loop;
      })
      .value();
  while (!closed) loop->run().value();
}

// What awaits is answered when the handle closes, and coroutines that still wait end with their loop.
static rstrm::task<> waits_for_stream(rstrm::tunnel &tunnel, std::shared_ptr<std::error_code> code) {
  *code = (co_await tunnel.accept()).code();
}

static rstrm::task<> waits_for_bytes(rstrm::stream &stream, std::shared_ptr<std::error_code> code) {
  *code = (co_await stream.read()).code();
}

static rstrm::task<> waits_for_ever(std::shared_ptr<std::error_code>) {
  co_await std::suspend_always();
}

static void awaiting() {
  auto accept = std::make_shared<std::error_code>(), read = std::make_shared<std::error_code>();
  auto ever = std::make_shared<std::error_code>();
  {
    scene scene;
    scene.tunnel.listen_stop().value();
    scene.dialed.read_stop().value();
    scene.accepted.reset();
    auto &loop = scene.world_->loop;
    loop.spawn(waits_for_stream(scene.tunnel, accept)).value();
    loop.spawn(waits_for_bytes(scene.dialed, read)).value();
    loop.spawn(waits_for_ever(ever)).value();
    CHECK_EQ(ever.use_count(), 2);
    scene.dialed.close();
    scene.tunnel.close();
    scene.world_.reset();
  }
  CHECK(*read == rstrm::errc::stream_closed);
  CHECK_EQ(read.use_count() + accept.use_count() + ever.use_count(), 3);
}

int main() {
  orders();
  loop_first();
  inside_a_callable();
  loop_inside();
  awaiting();
}
