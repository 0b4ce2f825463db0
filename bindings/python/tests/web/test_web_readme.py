# SPDX-License-Identifier: Apache-2.0
"""The web programs of bindings/README.md, as printed."""

import os
import re
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from served import SECONDS, World
from websockets.sync.client import connect

README = Path(__file__).resolve().parents[3] / "README.md"


def programs() -> dict[str, str]:
    """The programs by the module that they serve with."""
    found = {}
    for program in re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE):
        if served := re.search(r"await (asgi|wsgi)\.serve\(", program):
            found[served[1]] = program
    return found


@pytest.mark.parametrize(("kind", "answer"), [("wsgi", "hello from Flask\n"), ("asgi", "hello from Starlette\n")])
def test_programs(world: World, websocket_context: ssl.SSLContext, tmp_path: Path, kind: str, answer: str) -> None:
    program = tmp_path / "main.py"
    program.write_text(programs()[kind])
    environment = os.environ | world.engine.environment
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    with subprocess.Popen([sys.executable, program], env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            url = process.stdout.readline().strip()
            with httpx.Client(verify=websocket_context, timeout=SECONDS) as client:
                assert client.get(url).text == answer
            if kind == "asgi":
                with connect(url.replace("https", "wss", 1) + "/echo", ssl=websocket_context) as socket:
                    socket.send("and back")
                    assert socket.recv(timeout=SECONDS) == "and back"
            process.send_signal(signal.SIGINT)
            process.wait(SECONDS)
        finally:
            process.kill()
