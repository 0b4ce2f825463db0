# SPDX-License-Identifier: Apache-2.0
"""The same application behind uvicorn and behind a tunnel: the same answers."""

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from apps import echo, starlette_app
from served import SECONDS, Site
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

Serve = Callable[..., Site]
Answer = tuple[int, str, list[tuple[str, str]], bytes]


@pytest.fixture(scope="module")
def app() -> Any:
    app = starlette_app()
    app.router.routes.insert(0, Mount("/echo", app=echo))
    app.router.routes.insert(0, Mount("/unread", app=PlainTextResponse("fine")))
    return app


@pytest.fixture(scope="module")
def uvicorn_port(app: Any) -> Iterator[int]:
    config = uvicorn.Config(app, port=0, http="h11", log_level="critical")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + SECONDS
    while not (server.started and server.servers) and time.monotonic() < deadline:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(SECONDS)


def ask(client: http.client.HTTPConnection, method: str, path: str, body: Any, chunked: bool) -> Answer:
    client.request(
        method, path, body, encode_chunked=chunked, headers={"Transfer-Encoding": "chunked"} if chunked else {}
    )
    answer = client.getresponse()
    data = answer.read()
    # Theirs alone: that they are uvicorn. Framing is each server's own business, too, when the application leaves it.
    left_out = {"date", "server", "transfer-encoding"} | ({"content-length"} if path.startswith("/echo") else set())
    fields = [(name.lower(), value) for name, value in answer.getheaders() if name.lower() not in left_out]
    return answer.status, answer.reason, fields, data


@pytest.mark.parametrize(
    ("method", "path", "body", "chunked"),
    [
        ("GET", "/hello/you", None, False),
        ("HEAD", "/hello/you", None, False),
        ("GET", "/empty", None, False),
        ("HEAD", "/empty", None, False),
        ("GET", "/count?to=100", None, False),
        ("HEAD", "/count?to=100", None, False),
        ("GET", "/big?size=1000000", None, False),
        ("GET", "/fail", None, False),
        ("HEAD", "/fail", None, False),
        ("PATCH", "/digest", b"not allowed", False),
        ("POST", "/digest", b"d" * 1_000_000, False),
        ("POST", "/digest", [b"one", b"two", b"x" * 100_000], True),
        ("POST", "/echo/", b"e" * 300_000, False),
        ("POST", "/echo/", [b"e" * 10] * 100, True),
        ("POST", "/unread/", b"unread", False),
        ("OPTIONS", "*", None, False),
    ],
)
def test_answers(
    serve_asgi: Serve, uvicorn_port: int, app: Any, method: str, path: str, body: Any, chunked: bool
) -> None:
    ours = serve_asgi(app).http()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", uvicorn_port, timeout=SECONDS)) as theirs:
        expected = ask(theirs, method, path, body, chunked)
    for _ in range(2):
        assert ask(ours, method, path, body, chunked) == expected


def test_scopes(serve_asgi: Serve, uvicorn_port: int, app: Any) -> None:
    theirs = http.client.HTTPConnection("127.0.0.1", uvicorn_port, timeout=SECONDS)
    ours = serve_asgi(app).http()
    for path in ("/", "/a%20b/%2F/%C3%A9", "/a//b/../c?x=%20&y=1?z", "/?"):
        answers = []
        for client in (theirs, ours):
            client.request("GET", path, headers={"Host": "x.test", "X-Thing": "  spaced  ", "Accept": "a, b"})
            answers.append(json.loads(client.getresponse().read()))
        for answer in answers:
            del answer["client"], answer["server"]
        assert answers[0] == answers[1]
    theirs.close()
