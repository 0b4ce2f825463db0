// SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <librstream.hpp>

static rstrm::task<> version() {
  std::cout << "librstream " << rstream_version_string() << "\n";
  co_return;
}

int main() {
  rstrm::loop::create().value().run(version());
}
