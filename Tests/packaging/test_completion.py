# SPDX-License-Identifier: Apache-2.0
"""bash completes what rstreamctl takes."""

import os

import pytest
from conftest import run

ASK = """
source "$1"; shift
complete -p rstreamctl >/dev/null || exit
COMP_WORDS=(rstreamctl "$@"); COMP_CWORD=$#
_rstreamctl
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def complete(prefix, build_dir, tmp_path):
    environment = os.environ | {"PATH": f"{build_dir}:{os.environ['PATH']}"}
    script = prefix / "share/bash-completion/completions/rstreamctl"
    (tmp_path / "ca.pem").touch()
    (tmp_path / "certificates").mkdir()

    def ask(*words):
        return set(run("bash", "-uc", ASK, "bash", script, *words, env=environment, cwd=tmp_path).split())

    return ask


def test_commands(complete):
    assert {"engine", "forward", "dial", "version", "help"} <= complete("")
    assert complete("for") == {"forward"}
    assert complete("help", "eng") == {"engine"}


def test_options_are_those_of_the_command(complete):
    assert {"--dev", "--listen", "--json", "--help"} <= complete("engine", "--")
    assert "--dev" not in complete("forward", "--")
    assert complete("forward", "8080", "--ca") == {"--ca-file"}
    assert complete("no-such-command", "--") == set()


def test_actions_of_a_command(complete):
    assert complete("context", "") >= {"list", "show", "use", "--help"}
    assert complete("context", "u") == {"use"}
    assert "use" not in complete("context", "show", "")


def test_values(complete):
    assert complete("forward", "--protocol", "t") == {"tls", "tcp"}
    assert complete("forward", "--tls-mode", "") == {"terminated", "passthrough"}
    assert complete("forward", "--engine", "") == set()
    assert complete("forward", "--ca-file", "ca") == {"ca.pem"}
    assert complete("engine", "--state-dir", "c") == {"certificates"}
    assert "--ca-file" in complete("forward", "--insecure", "--")
