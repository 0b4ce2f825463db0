# SPDX-License-Identifier: Apache-2.0
"""Programs in C and C++ find the installed library through CMake and through pkg-config, and run."""

import json
import re
from pathlib import Path

import pytest
from conftest import SOURCE, compiler, run

CONSUMER = Path(__file__).parent / "consumer"
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def header_version():
    text = (SOURCE / "include/rstream/version.h").read_text()
    return re.search(r'RSTREAM_VERSION_STRING "([^"]+)"', text)[1]


@pytest.fixture(scope="session")
def cmake_consumers(prefix, tmp_path_factory):
    folder = tmp_path_factory.mktemp("consumer")
    run("cmake", "-S", CONSUMER, "-B", folder, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}",
        f"-DLIBRSTREAM_VERSION={header_version()}")
    run("cmake", "--build", folder)
    return folder


@pytest.mark.parametrize("program", ["consumer_c", "consumer_cxx", "consumer_binding"])
def test_cmake_consumer_runs(cmake_consumers, program):
    assert run(cmake_consumers / program) == f"librstream {header_version()}\n"


@pytest.mark.parametrize("language, standard, source", [("c", "c99", "main.c"), ("c++", "c++17", "main.cpp"), ("c++", "c++20", "binding.cpp")])
def test_pkg_config_consumer_runs(pkg_config, tmp_path, language, standard, source):
    [libdir] = pkg_config("--variable=libdir")
    program = tmp_path / "consumer"
    run(compiler(language, "gcc"), f"-std={standard}", *WARNINGS, *pkg_config("--cflags"), CONSUMER / source, "-o",
        program, *pkg_config("--libs"), f"-Wl,-rpath,{libdir}")
    assert run(program) == f"librstream {header_version()}\n"


def test_pkg_config_knows_the_version(pkg_config):
    assert pkg_config("--modversion") == [header_version()]


def test_cmake_refuses_a_newer_major_version(prefix, tmp_path):
    major = int(header_version().split(".")[0])
    with pytest.raises(AssertionError, match="compatible with requested version"):
        run("cmake", "-S", CONSUMER, "-B", tmp_path, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}",
            f"-DLIBRSTREAM_VERSION={major + 1}.0.0")


def test_every_header_is_installed(prefix):
    wanted = {path.relative_to(SOURCE / "include") for path in (SOURCE / "include").rglob("*.h")}
    wanted.add(Path("librstream.hpp"))
    assert {path.relative_to(prefix / "include") for path in (prefix / "include").rglob("*")} >= wanted


def test_nothing_but_links_names_the_build_folder(prefix, build_dir):
    """What is installed works without the tree that it was built in."""
    for path in prefix.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert str(build_dir).encode() not in path.read_bytes(), path


def test_installed_rstreamctl_finds_the_installed_library(prefix):
    assert json.loads(run(prefix / "bin/rstreamctl", "version", "--json"))["library"] == header_version()
    linked = run("ldd", prefix / "bin/rstreamctl")
    assert str(prefix) in re.search(r"librstream\.so\.1 => (\S+)", linked)[1]
