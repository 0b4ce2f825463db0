# SPDX-License-Identifier: Apache-2.0
"""config.yaml, environment and options as the official Python client reads them and as librstream does.

A case is a file, environment variables and options. Both readers have to come to the same, but for the differences that
are named with their reason; docs/configuration.md explains them. A difference that is gone fails, too.
"""

import json

import pytest

from support.certificates import Authority
from support.configuration import Library, official
from support.configurations import combinations, identities, places, transports

CASES = [*combinations.systematic(), *places.CASES, *identities.CASES, *transports.CASES]


@pytest.fixture(scope="module")
def library():
    return Library()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A client certificate and its key: files, and the same as text."""
    certificate, key = Authority(tmp_path_factory.mktemp("authority")).issue("client", client=True)
    return {"CERT": certificate, "KEY": key}


def put_in(value, pair):
    """The value with the files where their names stand."""
    if isinstance(value, dict):
        return {name: put_in(inner, pair) for name, inner in value.items()}
    if not isinstance(value, str):
        return value
    for name, path in pair.items():
        value = value.replace(f"PEM_{name}", json.dumps(open(path).read()))
    for name, path in pair.items():
        value = path if value == name else value.replace(f"File: {name}", f"File: {path}")
    return value


def test_there_are_enough_cases():
    assert len(CASES) >= 120
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_come_to_the_same(case, library, pair, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(put_in(case.yaml, pair))
    env = {"RSTREAM_CONFIG": str(file), **put_in(case.env, pair)}
    options = put_in(case.options, pair)
    theirs = official(env, options, tmp_path)
    ours = library.resolve(env, options, tmp_path)
    if case.reason is None:
        assert ours == theirs, library.message
        return
    assert ours != theirs, f"no difference any more: {case.reason}"
    expected = put_in(case.ours, pair)
    assert {name: getattr(ours, name) for name in expected} == expected, library.message
    if ours.error:
        assert expected.get("error") == ours.error, library.message
