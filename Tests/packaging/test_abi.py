# SPDX-License-Identifier: Apache-2.0
"""The ABI is the one of abi/, and what would break it is found."""

import json
import re
import shutil
import sys

import pytest
from conftest import SOURCE, run

sys.path.insert(0, str(SOURCE / "abi"))

import abi  # noqa: E402

BASE = "  const void *base; /**< first byte; may be NULL when len is 0 */\n"
LEN = "  size_t len;       /**< number of bytes */\n"
STRERROR = "RSTREAM_API const char *rstream_strerror(int code);"

BREAKS = {
    "a function is gone": ("error.h", STRERROR, ""),
    "a parameter more": ("error.h", STRERROR, STRERROR.replace("int code", "int code, int language")),
    "a parameter of another size": ("error.h", STRERROR, STRERROR.replace("int code", "long code")),
    "a parameter of another sign": ("error.h", STRERROR, STRERROR.replace("int code", "unsigned int code")),
    "another result": ("error.h", STRERROR, STRERROR.replace("char *", "void *")),
    "a result that may be written to": ("error.h", STRERROR, STRERROR.replace("const ", "")),
    "another handle": ("client.h", "close(rstream_client *", "close(rstream_stream *"),
    "a handle that is not const": ("error.h", "rstream_error_code(const ", "rstream_error_code("),
    "a callback with another argument": ("types.h", "(*rstream_close_cb)(void *", "(*rstream_close_cb)(const char *"),
    "a callback with another result": ("types.h", "void (*rstream_close_cb)", "int (*rstream_close_cb)"),
    "a struct in another order": ("types.h", BASE + LEN, LEN + BASE),
    "a struct with a field more": ("types.h", BASE + LEN, BASE + LEN + "  int flags;"),
    "an enum's constant has another value": ("log.h", "RSTREAM_LOG_DEBUG = 4", "RSTREAM_LOG_DEBUG = 5"),
    "an enum's constant is gone": ("log.h", "  RSTREAM_LOG_WARN = 2,  /**< what somebody should look at */\n", ""),
    "an enum's constant has another name": ("log.h", "RSTREAM_LOG_WARN = 2", "RSTREAM_LOG_WARNING = 2"),
    "an error code has another value": ("error.h", "RSTREAM_ETLS = -10024", "RSTREAM_ETLS = -10025"),
}
NAME_BREAKS = {
    "a setting has another name": ("config.h", "* | zeroRtt  ", "* | zeroRTT  "),
    "a setting has another type": ("config.h", " * | zeroRtt  ", " * | zeroRtt | int | 1 | - |\n * | oneRtt  "),
    "a setting of the engine is gone": ("engine.h", " * | limits.clients ", " * | limits.agents "),
    "a property is gone": ("tunnel.h", " * | geoip ", " * | geo_ip "),
    "an error has another name": ("error.h", '"ERR_RSTREAM_TLS"', '"ERR_RSTREAM_SSL"'),
}
FUNCTION = "RSTREAM_API int rstream_greet(const char *name);\n"
ADDITIONS = {
    "a function": ("error.h", STRERROR, FUNCTION + STRERROR),
    "a constant of an enum": ("log.h", "RSTREAM_LOG_DEBUG = 4", "RSTREAM_LOG_DEBUG = 4, RSTREAM_LOG_TRACE = 5"),
    "an enum": ("log.h", "typedef enum", "typedef enum rstream_mood { RSTREAM_GOOD = 1 } rstream_mood;\ntypedef enum"),
    "a handle and its function": (
        *("error.h", STRERROR),
        f"typedef struct rstream_tea rstream_tea;\nRSTREAM_API int rstream_tea_new(rstream_tea **out);\n{STRERROR}",
    ),
    "a struct and its function": (
        *("error.h", STRERROR),
        f"typedef struct rstream_pair {{ int a; int b; }} rstream_pair;\n"
        f"RSTREAM_API int rstream_add(const rstream_pair *pair);\n{STRERROR}",
    ),
    "a setting": ("config.h", " * | zeroRtt  ", " * | oneRtt | bool | true | a round trip |\n * | zeroRtt  "),
}

@pytest.fixture
def edit(tmp_path):
    """Copies the headers, changed in one place."""

    def editor(header, old, new):
        include = tmp_path / "include"
        shutil.copytree(SOURCE / "include", include)
        file = include / "rstream" / header
        text = file.read_text()
        assert text.count(old) == 1
        file.write_text(text.replace(old, new))
        return include

    return editor


@pytest.fixture
def copies(tmp_path):
    """Copies of abi/symbols and abi/librstream.abi, and a place for Debian's list."""
    files = {name: tmp_path / name for name in ("symbols", "names", "dump", "debian")}
    shutil.copy(abi.SYMBOLS, files["symbols"])
    shutil.copy(abi.NAMES, files["names"])
    shutil.copy(abi.DUMP, files["dump"])
    return files


def test_headers_are_what_was_promised():
    assert abi.check() == []


def test_library_exports_what_was_promised(library):
    """Both ways, and each function in the version node of the version that has introduced it."""
    lines = run("nm", "--dynamic", "--defined-only", "--with-symbol-versions", library).splitlines()
    exported = {line.split()[-1] for line in lines if line.split()[-2] != "A"}
    assert exported == abi.promised(), "abi/symbols, the library and rstream.map disagree; docs/abi.md tells more"


def test_features_are_those_of_the_header(build_dir):
    told = json.loads(run(build_dir / "rstreamctl", "version", "--json"))["features"]
    listed = [name.split()[1] for name in abi.named() if name.startswith("version ")]
    # Debian 12's OpenSSL cannot encrypt a ClientHello; Tests/interop/test_ech.py sees the word where one can.
    assert "ech" in listed and "ech" not in told
    listed.remove("ech")
    assert sorted(told) == sorted(listed), "rstream_features() and the table in rstream/version.h disagree"


@pytest.mark.parametrize("what", BREAKS)
def test_break_is_found(what, edit, copies):
    include = edit(*BREAKS[what])
    assert "break" in abi.check(include)[0]
    before = copies["dump"].read_text()
    assert abi.update(include, **copies)
    assert copies["dump"].read_text() == before


@pytest.mark.parametrize("what", NAME_BREAKS)
def test_break_of_a_name_is_found(what, edit, copies):
    include = edit(*NAME_BREAKS[what])
    assert "gone or changed" in abi.check(include)[0]
    before = copies["names"].read_text()
    assert abi.update(include, **copies)
    assert copies["names"].read_text() == before
    assert abi.update(include, **copies, is_breaking=True) == []
    assert abi.check(include, **copies) == []


@pytest.mark.parametrize("what", ADDITIONS)
def test_addition_is_to_be_accepted(what, edit, copies):
    include = edit(*ADDITIONS[what])
    assert "./dev abi --update" in abi.check(include)[0]
    assert abi.update(include, **copies) == []
    assert abi.check(include, **copies) == []
    new = abi.read_list(copies["symbols"]).items() - abi.read_list(abi.SYMBOLS).items()
    assert {version for _, version in new} <= {abi.version()}


def test_names_of_parameters_do_not_matter(edit):
    assert abi.check(edit("error.h", STRERROR, STRERROR.replace("code", "number"))) == []


def test_order_of_declarations_does_not_matter(edit):
    file = edit("error.h", STRERROR, "") / "rstream/error.h"
    first = "RSTREAM_API int rstream_error_code("
    assert first in file.read_text()
    file.write_text(file.read_text().replace(first, f"{STRERROR}\n{first}"))
    assert abi.check(file.parents[1]) == []


def test_function_of_a_later_version_has_a_node_of_its_own():
    assert [abi.node(version) for version in ("1.0.0", "1.0.3", "1.1.0", "1.12.1", "2.0.0")] == [
        *("RSTREAM_1", "RSTREAM_1", "RSTREAM_1.1", "RSTREAM_1.12", "RSTREAM_2"),
    ]


def test_symbols_came_with_a_version_that_exists():
    def number(version):
        return [int(part) for part in version.split(".")]

    for name, introduced in abi.read_list(abi.SYMBOLS).items():
        assert [1, 0, 0] <= number(introduced) <= number(abi.version()), name


def test_dump_is_small_and_made_the_same_way_anywhere():
    dump = abi.make_dump(abi.shape(abi.read_headers()))
    assert dump == abi.make_dump(abi.shape(abi.read_headers()))
    assert len(dump) < 200_000
    assert not re.search(r"='[^']*/[^']*'", dump)


def test_program_of_the_documentation_asks_for_what_is_new(build_dir, tmp_path):
    [program] = re.findall(r"^```c\n(.*?)^```$", (SOURCE / "docs/abi.md").read_text(), re.MULTILINE | re.DOTALL)
    run("gcc", "-x", "c", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", SOURCE / "include", "-", "-o",
        tmp_path / "ask", "-L", build_dir, "-lrstream", f"-Wl,-rpath,{build_dir}", input=program)
    assert run(tmp_path / "ask") == "an engine can be embedded\n"


def test_symbols_of_the_debian_package_are_written_too(edit, copies):
    heading = "librstream.so.1 librstream1 #MINVER#\n* Build-Depends-Package: librstream-dev\n"
    copies["debian"].write_text(heading + " rstream_features@RSTREAM_1 0.9\n")
    include = edit(*ADDITIONS["a function"])
    assert abi.update(include, **copies) == []
    lines = copies["debian"].read_text().removeprefix(heading).splitlines()
    assert len(lines) == len(abi.declared(include))
    assert " rstream_features@RSTREAM_1 1.0.0" in lines
    assert f" rstream_greet@RSTREAM_1 {abi.version()}" in lines
    assert abi.check(include, **copies) == []
    copies["debian"].write_text(heading)
    assert "./dev abi --update" in abi.check(include, **copies)[0]
