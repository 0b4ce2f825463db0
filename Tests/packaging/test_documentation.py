# SPDX-License-Identifier: Apache-2.0
"""The headers document all that they declare."""

import shutil
import sys

import pytest
from conftest import SOURCE

sys.path.insert(0, str(SOURCE / "docs/reference"))

import headers  # noqa: E402
import rules  # noqa: E402

# What is taken away, and the complaint it has to cause.
GAPS = {
    "a function": ("stream.h", "/** Stops reading;", "/* Stops reading;", "read_stop has no documentation"),
    "a callback": ("types.h", "/** Called once when", "/* Called once when", "rstream_close_cb has no documentation"),
    "a struct": ("types.h", "/** A piece of memory", "/* A piece of memory", "rstream_buf has no documentation"),
    "a field": ("types.h", " /**< number of bytes */", "", "has len without a comment"),
    "a handle": ("types.h", "/** A tunnel on", "/* A tunnel on", "rstream_tunnel has no documentation"),
    "an enum": ("log.h", "/** How much is", "/* How much is", "rstream_log_level has no documentation"),
    "a constant": ("log.h", " /**< nothing */", "", "has RSTREAM_LOG_OFF without a comment"),
    "the value of a constant": ("log.h", "_DEBUG = 4", "_DEBUG", "without a written value"),
    "a macro": ("version.h", "/** Version of the headers", "/* Version of the headers", "VERSION_MAJOR has no"),
    "a parameter": ("stream.h", "@param n  ", "@param m  ", "does not say what n is"),
    "a parameter's name": ("stream.h", "const rstream_buf *bufs,", "const rstream_buf *buffers,", "parameter bufs"),
    "a result": ("version.h", " * @return the words,", " * The words,", "rstream_features does not say what"),
    "who owns a result": ("version.h", "words, never NULL; static storage", "words, never NULL", "who owns"),
    "when a result is NULL": ("version.h", "the words, never NULL; static", "the words; static", "result is NULL"),
    "how a client ends": ("client.h", "; end it with rstream_client_close()", "", "how out is ended"),
    "a function that is mentioned": ("log.h", "Receives one line.", "See rstream_log_get().", "rstream_log_get()"),
    "a code that is returned": ("config.h", "RSTREAM_EINVALID_ENGINE or", "RSTREAM_EINVALID_EDGE or", "INVALID_EDGE"),
    "a callback's data": ("loop.h", "(*rstream_post_cb)(void *data)", "(*rstream_post_cb)(void)", "is not void *data"),
    "a call's data": ("loop.h", "rstream_post_cb cb, void *data);", "rstream_post_cb cb);", "cb without void *data"),
    "a struct by value": ("stream.h", "const rstream_buf *bufs, size_t n", "rstream_buf bufs, size_t n", "by value"),
}


@pytest.fixture
def complaints_about(tmp_path):
    """What the rules say about the headers, changed in one place."""

    def judge(header, old, new):
        include = tmp_path / "include"
        shutil.copytree(SOURCE / "include", include)
        file = include / "rstream" / header
        assert file.read_text().count(old) == 1
        file.write_text(file.read_text().replace(old, new))
        return list(rules.complaints(headers.read_headers(include)))

    return judge


def test_everything_is_documented():
    assert list(rules.complaints(headers.read_headers())) == []


@pytest.mark.parametrize("what", GAPS)
def test_gap_is_found(what, complaints_about):
    header, old, new, complaint = GAPS[what]
    found = complaints_about(header, old, new)
    assert [line for line in found if complaint in line], found
