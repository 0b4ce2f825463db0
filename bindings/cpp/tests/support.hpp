// SPDX-License-Identifier: Apache-2.0
// What the tests share: checks that end the program and say where, and an engine with a client on one loop.
#ifndef SUPPORT_HPP
#define SUPPORT_HPP

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <librstream.hpp>
#include <string>

#define CHECK(condition)                                                                    \
  do {                                                                                      \
    if (!(condition)) {                                                                     \
      std::cerr << __FILE__ << ":" << __LINE__ << ": " << #condition << " does not hold\n"; \
      std::exit(1);                                                                         \
    }                                                                                       \
  } while (0)

// Two things that have to be equal; both are shown.
#define CHECK_EQ(actual, expected)                                                                      \
  do {                                                                                                  \
    const auto check_actual = (actual);                                                                 \
    const auto check_expected = (expected);                                                             \
    if (!(check_actual == check_expected)) {                                                            \
      std::cerr << __FILE__ << ":" << __LINE__ << ": " << #actual << " is " << check_actual << ", not " \
                << check_expected << "\n";                                                              \
      std::exit(1);                                                                                     \
    }                                                                                                   \
  } while (0)

// A folder that goes away again.
struct temporary_folder {
  temporary_folder() {
    char name[] = "/tmp/rstream-cpp-test-XXXXXX";
    CHECK(mkdtemp(name) != nullptr);
    path = name;
  }
  temporary_folder(const temporary_folder &) = delete;
  ~temporary_folder() {
    std::filesystem::remove_all(path);
  }
  std::string path;
};

inline rstrm::tunnel_options private_tunnel(const std::string &name) {
  rstrm::tunnel_options options;
  options.set("name", name).value();
  options.set("publish", false).value();
  return options;
}

// An engine in development mode and a client of it. The loop comes first: it goes last.
struct world {
  explicit world(rstrm::loop on) : loop(std::move(on)) {
    rstrm::engine_options options;
    options.set("dev.enabled", true).value();
    options.set("dev.state_dir", folder.path).value();
    options.set("tls.listen_addr", "127.0.0.1:0").value();
    options.set("timeouts.drain_seconds", 1).value();
    engine = rstrm::engine::create(loop, options).value();
    engine.start().value();
    client = make_client();
  }
  world() : world(rstrm::loop::create().value()) {}

  // A further client; with zeroRtt off, dialing an unknown tunnel fails.
  rstrm::client make_client(bool zero_rtt = true, const std::string &transport = "tls") {
    rstrm::config config;
    config.set("engine", std::string(*engine.info("address"))).value();
    config.set("transport.tls.caFile", std::string(*engine.info("ca_file"))).value();
    config.set("zeroRtt", zero_rtt).value();
    config.set("transport.mode", transport).value();
    return rstrm::client::create(loop, config).value();
  }

  temporary_folder folder;
  rstrm::loop loop;
  rstrm::engine engine;
  rstrm::client client;
};

// Sends back what the stream sends, until it ends.
inline rstrm::task<> echo(rstrm::stream stream) {
  for (;;) {
    const auto bytes = (co_await stream.read()).value();
    if (bytes.empty()) break;
    (co_await stream.write(bytes)).value();
  }
  (co_await stream.shutdown()).value();
}

// Reads up to the end.
inline rstrm::task<std::string> read_all(rstrm::stream &stream) {
  std::string all;
  for (;;) {
    const auto bytes = (co_await stream.read()).value();
    if (bytes.empty()) co_return all;
    all += rstrm::text(bytes);
  }
}

#endif
