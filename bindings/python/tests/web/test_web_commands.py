# SPDX-License-Identifier: Apache-2.0
"""``python -m librstream.asgi``, ``python -m librstream.wsgi``, and what they say when something is missing."""

import os
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import flask
import httpx
import pytest
from librstream._web.command import load
from served import SECONDS, World

HERE = Path(__file__).parent


def environment(world: World) -> dict[str, str]:
    paths = [str(HERE), *(path for path in sys.path if path)]
    return os.environ | {"RSTREAM_ENGINE": world.engine.address, "PYTHONPATH": os.pathsep.join(paths)}


@pytest.mark.parametrize(
    ("kind", "app", "number"),
    [("asgi", "apps:starlette_app", signal.SIGTERM), ("wsgi", "apps:flask_app", signal.SIGINT)],
)
def test_serving(world: World, context: ssl.SSLContext, kind: str, app: str, number: int) -> None:
    command = [sys.executable, "-m", f"librstream.{kind}", app, "--factory", "--ca-file", world.ca_file]
    with subprocess.Popen(command, env=environment(world), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            url = process.stdout.readline().strip()
            assert url.startswith("https://")
            with httpx.Client(verify=context, timeout=SECONDS) as client:
                assert client.get(f"{url}/count?to=2").text == "0\n1\n"
            process.send_signal(number)
            assert process.wait(SECONDS) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nonsense"], 1, "'nonsense' is not of the form module:name"),
        (["no_such_module:app"], 1, "No module named 'no_such_module'"),
        (["apps:no_such_app"], 1, "has no attribute 'no_such_app'"),
        (["apps:echo", "--engine", "127.0.0.1:1"], 1, "127.0.0.1:1"),
        ([], 2, "usage"),
    ],
)
def test_failing(world: World, arguments: list[str], status: int, message: str) -> None:
    command = [sys.executable, "-m", "librstream.asgi", *arguments]
    done = subprocess.run(command, env=environment(world), capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == status and message in done.stderr and "Traceback" not in done.stderr


def test_loading() -> None:
    import apps

    assert load("apps:echo") is apps.echo
    assert load("apps:flask.Flask") is flask.Flask


@pytest.mark.parametrize(("module", "missing"), [("asgi", "h11"), ("wsgi", "h11"), ("asgi", "wsproto")])
def test_missing_packages(world: World, module: str, missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; import librstream; librstream.{module}"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment(world), capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 1
    last: Any = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ") and f"the package {missing}" in last and "pip install 'librstream[" in last
