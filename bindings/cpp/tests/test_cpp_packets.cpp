// SPDX-License-Identifier: Apache-2.0
// Packet channels over TLS and QUIC: sizes, counts, what is too long and too much, the end seen from each side.
#include <array>

#include "support.hpp"

using read_result = rstrm::result<rstrm::received_packet>;

// How long packets of QUIC datagrams may be depends on the network, and grows while it is found out.
struct way {
  const char *transport, *path;
  std::size_t longest;
};

static constexpr std::array<way, 2> ways{{{"tls", "stream", 65'535}, {"quic", "quic-datagram", 1'100}}};

// Both ends of a channel, and what they came by.
struct ends {
  rstrm::control control;
  rstrm::tunnel tunnel;
  rstrm::packets near, far;
};

static rstrm::tunnel_options datagrams() {
  auto options = private_tunnel("packets");
  options.set("type", "datagram").value();
  return options;
}

static rstrm::task<ends> join(rstrm::client &client) {
  ends made;
  made.control = (co_await client.connect()).value();
  made.tunnel = (co_await made.control.create_tunnel(datagrams())).value();
  auto accepting = made.tunnel.accept_packets();
  made.near = (co_await client.dial_packets("packets")).value();
  made.far = (co_await accepting).value();
  co_return made;
}

static std::string message_of(const rstrm::result<void> &failed) {
  CHECK(!failed);
  return failed.error().message();
}

static rstrm::task<> both_ways(world &world, way way) {
  auto client = world.make_client(true, way.transport);
  auto [control, tunnel, near, far] = co_await join(client);
  CHECK_EQ(near.path(), way.path);
  CHECK_EQ(far.path(), way.path);
  CHECK_EQ(far.peer(), "127.0.0.1");
  CHECK(!far.id().empty());
  CHECK(near.max_size() >= way.longest && near.max_size() <= 65'535);
  const std::array<std::size_t, 5> sizes{0, 1, 1000, way.longest, 0};
  for (const std::size_t size : sizes) {
    const std::string sent(size, 'p');
    near.send(sent).value();
    const auto received = (co_await far.read()).value();
    CHECK(received && rstrm::text(*received) == sent);
    far.send(*received).value();
    const auto back = (co_await near.read()).value();
    CHECK(back && rstrm::text(*back) == sent);
  }
  const std::string too_long(65'536, 'p');
  CHECK(near.send(too_long).code() == std::errc::message_size);
  const std::string message = message_of(near.send(too_long));
  CHECK(message.find("65536") != std::string::npos);
  CHECK(message.find(std::to_string(near.max_size())) != std::string::npos);
  for (const auto &[end, too_many] : {std::pair(&near, 2U), std::pair(&far, 0U)}) {
    CHECK_EQ(end->count("sent"), sizes.size());
    CHECK_EQ(end->count("received"), sizes.size());
    CHECK_EQ(end->count("dropped_sending"), too_many);
    CHECK_EQ(end->count("dropped_receiving"), 0U);
    CHECK_EQ(end->count("anything"), 0U);
  }

  // The end comes behind the last packet, and stays the end.
  far.send("last").value();
  (co_await far.close()).value();
  CHECK(!far && far.max_size() == 0);
  CHECK(far.send("x").code() == std::errc::invalid_argument);
  CHECK((co_await far.read()).code() == std::errc::invalid_argument);
  CHECK_EQ(rstrm::text((co_await near.read()).value().value()), "last");
  CHECK(!(co_await near.read()).value());
  CHECK(!(co_await near.read()).value());
  CHECK(near.send("x").code() == std::errc::broken_pipe);
  (co_await near.room()).value();
}

// Everything by callables; whoever closes, the other side is told once, and its callable goes then.
static void callables(way way) {
  for (const bool dialer_closes : {true, false}) {
    world world;
    auto client = world.make_client(true, way.transport);
    auto held = std::make_shared<int>(0);
    rstrm::control control;
    rstrm::tunnel tunnel;
    rstrm::packets near, far;
    std::string heard_near, heard_far;
    const auto hear = [&](rstrm::packets &end, std::string &heard, rstrm::received_packet packet) {
      if (!packet) {
        heard += '$';
        return end.close([&] { world.loop.stop().value(); }).value();
      }
      const auto text = rstrm::text(*packet);
      heard += text;
      if (text == "ping") {
        end.send("pong").value();
      } else if (text == "pong" && !dialer_closes) {
        end.send("bye").value();
      } else {
        end = {};
      }
    };
    const auto accept = [&](rstrm::packets came) {
      far = std::move(came);
      far.read_start([&, held](read_result read) { hear(far, heard_far, read.value()); }).value();
      CHECK(far.read_start([](read_result) {}).code() == std::errc::connection_already_in_progress);
    };
    const auto dialed = [&](rstrm::result<rstrm::packets> outcome) {
      near = std::move(outcome).value();
      near.read_start([&, held](read_result read) { hear(near, heard_near, read.value()); }).value();
      near.send("ping").value();
    };
    client
        .connect([&](rstrm::result<rstrm::control> connected) {
          control = std::move(connected).value();
          control
              .create_tunnel(datagrams(),
                             [&](rstrm::result<rstrm::tunnel> created) {
                               tunnel = std::move(created).value();
                               CHECK(tunnel.listen([](rstrm::stream) {}).code() == rstrm::errc::unsupported_tunnel);
                               tunnel.listen_packets(accept).value();
                               client.dial_packets("packets", dialed).value();
                             })
              .value();
        })
        .value();
    CHECK(world.loop.run().value());
    CHECK_EQ(heard_far, dialer_closes ? "ping$" : "pingbye");
    CHECK_EQ(heard_near, dialer_closes ? "pong" : "pong$");
    CHECK_EQ(held.use_count(), 1);
    CHECK(!near && !far);
    tunnel.listen_stop().value();
  }
}

static rstrm::task<> send_numbers(rstrm::packets channel, int total) {
  for (int number = 0; number < total; number++) {
    (co_await channel.room()).value();
    std::string bytes(5000, ' ');
    bytes.replace(0, 10, std::to_string(number) + " ");
    channel.send(bytes).value();
  }
}

// Nobody reads until everything on the way is full: whoever waits for room loses nothing, others are told.
static rstrm::task<> too_much(world &world) {
  auto [control, tunnel, near, far] = co_await join(world.client);
  int drains = 0;
  near.on_drain([&] { ++drains; }).value();
  const std::string big(60'000, 'b');
  int taken = 0;
  for (auto sent = near.send(big);; sent = near.send(big)) {
    if (sent) {
      CHECK(++taken < 10'000);
      continue;
    }
    CHECK(sent.code() == std::errc::resource_unavailable_try_again);
    CHECK_EQ(near.queue_size(), 64U);
    CHECK_EQ(near.count("dropped_sending"), 1U);
    break;
  }
  { auto forgotten = near.room(); }
  auto room = near.room();
  CHECK(!room.await_ready());
  for (int i = 0; i < taken; i++) CHECK_EQ((co_await far.read()).value().value().size(), big.size());
  (co_await room).value();
  CHECK(drains > 0 && near.queue_size() < 64);

  constexpr int total = 2000;
  world.loop.spawn(send_numbers(std::move(near), total)).value();
  for (int number = 0; number < total; number++) {
    const auto received = (co_await far.read()).value();
    CHECK_EQ(std::stoi(std::string(rstrm::text(received.value()))), number);
  }
  CHECK(!(co_await far.read()).value());
}

// Whoever waits for room does not wait for ever when nobody will read any more.
static rstrm::task<> room_at_the_end(world &world) {
  auto [control, tunnel, near, far] = co_await join(world.client);
  const std::string big(60'000, 'b');
  while (near.send(big)) CHECK(near.count("sent") < 10'000);
  auto room = near.room();
  CHECK(!room.await_ready());
  far = {};
  (co_await room).value();
  auto sent = near.send(big);
  for (; sent || sent.code() == std::errc::resource_unavailable_try_again; sent = near.send(big)) {
    (co_await near.room()).value();
  }
  CHECK(sent.code() == std::errc::broken_pipe || sent.code() == std::errc::connection_reset);
}

// Dropping an operation loses no packet; closing answers whoever waits.
static rstrm::task<> dropped(world &world) {
  auto control = (co_await world.client.connect()).value();
  auto tunnel = (co_await control.create_tunnel(datagrams())).value();
  CHECK((co_await tunnel.accept()).code() == rstrm::errc::unsupported_tunnel);
  { auto forgotten = tunnel.accept_packets(); }
  auto accepting = tunnel.accept_packets();
  CHECK((co_await tunnel.accept_packets()).code() == std::errc::connection_already_in_progress);
  CHECK(tunnel.listen_stop().code() == std::errc::connection_already_in_progress);
  auto near = (co_await world.client.dial_packets("packets")).value();
  auto far = (co_await accepting).value();
  { auto forgotten = far.read(); }
  near.send("packet").value();
  CHECK_EQ(rstrm::text((co_await far.read()).value().value()), "packet");
  auto reading = far.read();
  CHECK((co_await far.read()).code() == std::errc::connection_already_in_progress);
  auto last = tunnel.accept_packets();
  far.close();
  tunnel.close();
  CHECK((co_await reading).code() == rstrm::errc::stream_closed);
  CHECK((co_await last).code() == rstrm::errc::tunnel_closed);

  auto careful = world.make_client(false);
  CHECK((co_await careful.dial_packets("nobody")).error().engine_code() == RSTREAM_ENGINE_TUNNEL_NOT_FOUND);
}

int main() {
  for (const auto way : ways) {
    world world;
    world.loop.run(both_ways(world, way));
    callables(way);
  }
  for (const auto part : {too_much, room_at_the_end, dropped}) {
    world world;
    world.loop.run(part(world));
  }
}
