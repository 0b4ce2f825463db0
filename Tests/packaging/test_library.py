# SPDX-License-Identifier: Apache-2.0
"""librstream.so as the dynamic linker sees it: names, versions, flags, what it needs and how big it is."""

import re

import pytest
from conftest import run


@pytest.fixture(scope="module")
def dynamic(library):
    """The entries of the dynamic section: a list of values for each tag."""
    entries = {}
    for tag, value in re.findall(r"\((\w+)\)\s+(.*)", run("readelf", "--dynamic", "--wide", library)):
        entries.setdefault(tag, []).append(value)
    return entries


def test_soname(dynamic):
    assert dynamic["SONAME"] == ["Library soname: [librstream.so.1]"]


def test_is_bound_at_load_and_never_unloaded(dynamic):
    flags = " ".join(dynamic["FLAGS"] + dynamic["FLAGS_1"])
    assert "BIND_NOW" in flags and "NODELETE" in flags


def test_relocations_become_read_only(library):
    assert "GNU_RELRO" in run("readelf", "--program-headers", library)


def test_carries_no_search_path(dynamic):
    assert not {"RPATH", "RUNPATH"} & dynamic.keys()


def test_needs_no_language_runtime(dynamic):
    needed = [re.search(r"\[(.*)\]", value)[1] for value in dynamic["NEEDED"]]
    assert not [name for name in needed if re.match(r"lib(swift|stdc\+\+|dispatch|Foundation|BlocksRuntime)", name)]


def test_is_stripped_and_small(library):
    assert ".symtab" not in run("readelf", "--sections", "--wide", library)
    assert library.stat().st_size < 9_000_000
