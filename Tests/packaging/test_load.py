# SPDX-License-Identifier: Apache-2.0
"""A program may load the library, use it and let it go as often as it likes; no thread is left behind."""

from pathlib import Path

from conftest import SOURCE, run


def test_load_and_unload_in_a_loop(library, tmp_path):
    program = tmp_path / "load_unload"
    run("gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-I", SOURCE / "include",
        Path(__file__).parent / "load_unload.c", "-o", program, "-ldl")
    assert run(program, library) == "50 rounds\n"
