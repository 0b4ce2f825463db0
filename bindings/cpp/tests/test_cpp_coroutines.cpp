// SPDX-License-Identifier: Apache-2.0
// The same with coroutines: on an own loop and on the program's uv loop; forwarding, sockets and orderly ends.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <thread>

#include "support.hpp"

static rstrm::task<> serve(rstrm::loop &loop, rstrm::tunnel &tunnel) {
  for (;;) {
    auto accepted = co_await tunnel.accept();
    if (!accepted) co_return;
    loop.spawn(echo(*std::move(accepted))).value();
  }
}

static rstrm::task<std::string> ask(rstrm::client &client, std::string text) {
  auto stream = (co_await client.dial("echo")).value();
  auto written = stream.write(text);
  (co_await stream.shutdown()).value();
  (co_await written).value();
  auto answer = co_await read_all(stream);
  CHECK((co_await stream.read()).value().empty());
  (co_await stream.close()).value();
  CHECK((co_await stream.read()).code() == std::errc::invalid_argument);
  co_return answer;
}

static rstrm::task<> whole_life(world &world) {
  auto control = (co_await world.client.connect()).value();
  auto tunnel = (co_await control.create_tunnel(private_tunnel("echo"))).value();
  world.loop.spawn(serve(world.loop, tunnel)).value();
  CHECK_EQ(co_await ask(world.client, "hello"), "hello");
  const std::string much(1'000'000, 'y');
  CHECK(co_await ask(world.client, much) == much);
  (co_await tunnel.close()).value();
  (co_await control.close()).value();
  (co_await world.engine.stop()).value();
}

static void on_an_own_loop() {
  world world;
  world.loop.run(whole_life(world));
}

static void on_a_uv_loop() {
  uv_loop_t uv;
  CHECK_EQ(uv_loop_init(&uv), 0);
  {
    world world(rstrm::loop::wrap(&uv).value());
    CHECK(world.loop.uv() == &uv);
    bool done = false;
    const auto all = [](struct world &in, bool &flag) -> rstrm::task<> {
      co_await whole_life(in);
      (co_await in.client.close()).value();
      (co_await in.engine.close()).value();
      flag = true;
    };
    world.loop.spawn(all(world, done)).value();
    CHECK_EQ(uv_run(&uv, UV_RUN_DEFAULT), 0);
    CHECK(done);
    CHECK(world.loop.run().code() == std::errc::invalid_argument);
  }
  CHECK_EQ(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK_EQ(uv_loop_close(&uv), 0);
}

// A local service on a thread of its own: sends back the first connection's bytes.
struct service {
  service() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto *generic = reinterpret_cast<sockaddr *>(&address);
    CHECK(bind(listener, generic, size) == 0 && listen(listener, 1) == 0 && getsockname(listener, generic, &size) == 0);
    target = std::to_string(ntohs(address.sin_port));
    thread = std::thread([this] {
      const int connection = accept(listener, nullptr, nullptr);
      char bytes[64];
      for (ssize_t n; (n = recv(connection, bytes, sizeof bytes, 0)) > 0;) send(connection, bytes, std::size_t(n), 0);
      ::close(connection);
    });
  }
  service(const service &) = delete;
  ~service() {
    thread.join();
    ::close(listener);
  }
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  std::string target;
  std::thread thread;
};

static rstrm::task<> forward(world &world) {
  const service service;
  auto control = (co_await world.client.connect()).value();
  auto tunnel = (co_await control.create_tunnel(private_tunnel("echo"))).value();
  CHECK(tunnel.forward("no port").code() == rstrm::errc::invalid_local_endpoint);
  int opened = 0, ended = 0;
  std::uint64_t in = 0, out = 0;
  tunnel
      .forward(service.target,
               [&](const rstrm::forward_event &event) {
                 CHECK(!event.error);
                 ++(event.opened ? opened : ended);
                 in += event.bytes_in;
                 out += event.bytes_out;
               })
      .value();
  CHECK_EQ(co_await ask(world.client, "forwarded"), "forwarded");
  // The end of the connection is told when both directions have ended; the next answer of the engine comes later.
  while (ended == 0) (co_await control.create_tunnel(private_tunnel("other"))).value();
  CHECK_EQ(opened, 1);
  CHECK_EQ(in, 9U);
  CHECK_EQ(out, 9U);
}

// The socket of a stream carries bytes while the loop runs.
static rstrm::task<> sockets(world &world) {
  auto control = (co_await world.client.connect()).value();
  auto tunnel = (co_await control.create_tunnel(private_tunnel("echo"))).value();
  auto accepting = tunnel.accept();
  auto dialed = (co_await world.client.dial("echo")).value();
  auto accepted = (co_await accepting).value();
  const int fd = dialed.into_fd().value();
  CHECK(!dialed && dialed.into_fd().code() == std::errc::invalid_argument);
  CHECK_EQ(send(fd, "ping", 4, 0), 4);
  CHECK_EQ(rstrm::text((co_await accepted.read()).value()), "ping");
  CHECK_EQ(::close(fd), 0);
  CHECK((co_await accepted.read()).value().empty());
}

// Dropping an operation forgets its result and loses no bytes.
static rstrm::task<> dropped(world &world) {
  auto control = (co_await world.client.connect()).value();
  auto tunnel = (co_await control.create_tunnel(private_tunnel("echo"))).value();
  { auto forgotten = tunnel.accept(); }
  {
    auto forgotten = world.client.dial("echo");
    auto busy = tunnel.accept();
    CHECK((co_await tunnel.accept()).code() == std::errc::connection_already_in_progress);
  }
  (co_await tunnel.accept()).value();
  auto dialed = (co_await world.client.dial("echo")).value();
  auto accepted = (co_await tunnel.accept()).value();
  { auto forgotten = accepted.read(); }
  (co_await dialed.write(std::span<const std::uint8_t>(reinterpret_cast<const std::uint8_t *>("bytes"), 5))).value();
  CHECK_EQ(rstrm::text((co_await accepted.read()).value()), "bytes");
  dialed.reset();
  CHECK((co_await accepted.read()).code() == std::errc::connection_reset);
}

int main() {
  on_an_own_loop();
  on_a_uv_loop();
  for (const auto part : {forward, sockets, dropped}) {
    world world;
    world.loop.run(part(world));
  }
}
