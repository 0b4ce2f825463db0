# SPDX-License-Identifier: Apache-2.0
"""Programs for the official client run with this one when their import is changed, and say the same."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import librstream
import pytest
from librstream import Engine

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.py"))

#: What the official client has and this one does not: webhooks, and what its configuration resolves to.
ABSENT = {
    "ResolvedClientOptions",
    "WebhookEvent",
    "Webhooks",
    "build_headers",
    "generate_signing_secret",
    "sign_payload",
    "verify_event",
}


@pytest.fixture
def official() -> Any:
    return pytest.importorskip("rstream", reason="the official client is not installed")


def run(program: Path, text: str, engine: Engine, home: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RSTREAM_")}
    environment |= engine.environment
    environment |= {
        "HOME": str(home),
        "RSTREAM_LIBRARY": librstream.library_path(),
        "SSL_CERT_FILE": engine.ca_file or "",
        "PYTHONWARNINGS": "always::ResourceWarning",
    }
    result = subprocess.run(
        [sys.executable, "-c", text], env=environment, capture_output=True, text=True, timeout=50, cwd=home
    )
    assert result.returncode == 0 and not result.stderr, f"{program.name}\n{result.stdout}{result.stderr}"
    return result.stdout


@pytest.mark.usefixtures("official")
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_runs_with_either(program: Path, rstream_engine: Engine, tmp_path: Path) -> None:
    text = program.read_text()
    ours = re.sub(r"^import rstream$", "import librstream as rstream", text, flags=re.MULTILINE)
    ours = ours.replace("from rstream import", "from librstream import")
    assert ours != text
    theirs = run(program, text, rstream_engine, tmp_path)
    assert theirs.count("\n") > 3
    assert run(program, ours, rstream_engine, tmp_path).splitlines() == theirs.splitlines()


def test_it_has_the_official_names(official: Any) -> None:
    helpers = {"asgi", "wsgi"}
    assert set(official.__all__) - set(dir(librstream)) - helpers == ABSENT


@pytest.mark.parametrize("kind", ["Client", "ControlChannel", "BytestreamTunnel", "RstreamStream", "EventStream"])
def test_methods_take_what_the_official_ones_take(official: Any, kind: str) -> None:
    ours, theirs = getattr(librstream, kind), getattr(official, kind)
    internal = {"deliver", "on_close", "wait_forwarders_closed"}
    for name in {name for name in dir(theirs) if not name.startswith("_")} - internal:
        compare_signatures(name, getattr(ours, name), getattr(theirs, name))
    if kind == "Client":
        compare_signatures("__init__", ours, theirs)


def compare_signatures(name: str, ours: Any, theirs: Any) -> None:
    if not callable(theirs):
        assert type(ours) is type(theirs), name
        return
    known = inspect.signature(ours).parameters
    for parameter in inspect.signature(theirs).parameters.values():
        assert parameter.name in known, f"{name}: {parameter.name}"
        assert known[parameter.name].kind is parameter.kind, f"{name}: {parameter.name}"
        if parameter.default is not parameter.empty:
            assert known[parameter.name].default == parameter.default, f"{name}: {parameter.name}"
    assert inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(theirs), name


@pytest.mark.parametrize(
    "kind",
    [
        "CreateTunnelOptions",
        "ServerDetails",
        "TLSOptions",
        "TunnelAuth",
        "TunnelProperties",
        "ClientOptions",
        "TunnelFilters",
        "ClientFilters",
        "TunnelInventory",
        "Event",
    ],
)
def test_values_have_the_official_fields(official: Any, kind: str) -> None:
    ours = getattr(librstream, kind).__dataclass_fields__
    theirs = getattr(official, kind).__dataclass_fields__
    assert set(theirs) <= set(ours)
    assert {name: field.default for name, field in theirs.items()} == {name: ours[name].default for name in theirs}
