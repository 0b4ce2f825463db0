# SPDX-License-Identifier: Apache-2.0
"""Every public header compiles alone, in every language and with every compiler that we promise."""

import pytest
from conftest import SOURCE, compiler, run

INCLUDE = SOURCE / "include"
HEADERS = sorted(str(path.relative_to(INCLUDE)) for path in INCLUDE.rglob("*.h"))
LANGUAGES = [("c", "c99"), ("c", "c11"), ("c++", "c++17"), ("c++", "c++20")]


@pytest.mark.parametrize("family", ["gcc", "clang"])
@pytest.mark.parametrize("language, standard", LANGUAGES)
@pytest.mark.parametrize("header", HEADERS)
def test_header_compiles_alone(header, language, standard, family):
    run(compiler(language, family), "-x", language, f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
        "-fsyntax-only", "-I", INCLUDE, "-", input=f"#include <{header}>\n")


@pytest.mark.parametrize("family", ["gcc", "clang"])
@pytest.mark.parametrize("standard", ["c++20", "c++23"])
def test_cpp_binding_compiles_alone(standard, family):
    binding = SOURCE / "bindings/cpp/include"
    run(compiler("c++", family), "-x", "c++", f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow",
        "-Wconversion", "-Werror", "-fsyntax-only", "-I", INCLUDE, "-I", binding, "-",
        input="#include <librstream.hpp>\n")
