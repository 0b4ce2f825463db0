// SPDX-License-Identifier: Apache-2.0
// Engine, agent and dialer in one program: sends its arguments through a private tunnel of an embedded engine and prints
// what comes back.
//
//     echo [WORD...]
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <librstream.hpp>

// Sends back what the stream sends, no faster than the other side takes it.
static rstrm::task<> echo(rstrm::stream stream) {
  for (;;) {
    const auto bytes = (co_await stream.read()).value();
    if (bytes.empty()) break;
    (co_await stream.write(bytes)).value();
  }
  (co_await stream.shutdown()).value();
}

// Each stream gets a coroutine of its own.
static rstrm::task<> serve(rstrm::loop &loop, rstrm::tunnel &tunnel) {
  while (auto accepted = co_await tunnel.accept()) loop.spawn(echo(*std::move(accepted))).value();
}

static rstrm::task<> talk(rstrm::loop &loop, rstrm::client &client, std::string words) {
  auto control = (co_await client.connect()).value();
  rstrm::tunnel_options options;
  options.set("name", "echo").value();
  options.set("publish", false).value();
  auto tunnel = (co_await control.create_tunnel(options)).value();
  loop.spawn(serve(loop, tunnel)).value();

  auto stream = (co_await client.dial("echo")).value();
  (co_await stream.write(words)).value();
  (co_await stream.shutdown()).value();
  for (;;) {
    const auto bytes = (co_await stream.read()).value();
    if (bytes.empty()) break;
    std::cout << rstrm::text(bytes);
  }
  std::cout << std::endl;
  (co_await tunnel.close()).value();
}

// Where the engine keeps its development CA: a folder that goes away again.
struct state_folder {
  state_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "rstream-echo-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::system_error(errno, std::generic_category(), name);
    path = name;
  }
  ~state_folder() {
    std::filesystem::remove_all(path);
  }
  std::string path;
};

int main(int argc, char **argv) try {
  std::string words;
  for (int i = 1; i < argc; i++) words.append(i > 1 ? " " : "").append(argv[i]);
  const state_folder state;
  auto loop = rstrm::loop::create().value();

  rstrm::engine_options options;
  options.set("dev.enabled", true).value();
  options.set("dev.state_dir", state.path).value();
  options.set("tls.listen_addr", "127.0.0.1:0").value();
  auto engine = rstrm::engine::create(loop, options).value();
  engine.start().value();

  rstrm::config config;
  config.set("engine", std::string(engine.info("address").value())).value();
  config.set("transport.tls.caFile", std::string(engine.info("ca_file").value())).value();
  auto client = rstrm::client::create(loop, config).value();

  loop.run(talk(loop, client, words.empty() ? "hello" : words));
} catch (const std::exception &failure) {
  std::cerr << failure.what() << std::endl;
  return EXIT_FAILURE;
}
