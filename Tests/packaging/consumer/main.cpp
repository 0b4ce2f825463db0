// SPDX-License-Identifier: Apache-2.0
#include <rstream.h>

#include <iostream>
#include <memory>

int main() {
  rstream_config *made = nullptr;
  if (rstream_config_new(&made) != 0) return 1;
  const std::unique_ptr<rstream_config, decltype(&rstream_config_free)> config(made, rstream_config_free);
  if (rstream_config_set(config.get(), "engine", "localhost:8443", nullptr) != 0) return 1;
  std::cout << "librstream " << rstream_version_string() << "\n";
}
