# SPDX-License-Identifier: Apache-2.0
"""Flask, Starlette and FastAPI on the web: published tunnels and foreign clients."""

import hashlib
import json
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import fastapi
import httpx
import pytest
import requests
from apps import flask_app, starlette_app
from served import Site

Serve = Callable[..., Site]

BODY = bytes(range(256)) * 20_000
DIGEST = {"size": len(BODY), "sha256": hashlib.sha256(BODY).hexdigest()}


@pytest.fixture(params=["flask", "starlette"])
def site(request: pytest.FixtureRequest, serve_asgi: Serve, serve_wsgi: Serve) -> Site:
    if request.param == "flask":
        return serve_wsgi(flask_app(), publish=True)
    return serve_asgi(starlette_app(), publish=True, lifespan="on")


@pytest.fixture
def client(context: ssl.SSLContext, site: Site) -> Iterator[httpx.Client]:
    with httpx.Client(verify=context, base_url=site.url, timeout=20) as client:
        yield client


def test_the_application_knows_its_address(site: Site, client: httpx.Client) -> None:
    answer = client.get("/a%20b/%C3%A9", params={"x": "1 2"}).json()
    assert answer["path"] == "/a b/é"
    assert answer["url"].startswith(site.url + "/")
    if "environ" in answer:
        environ = answer["environ"]
        assert (environ["wsgi.url_scheme"], environ["REMOTE_ADDR"]) == ("https", "127.0.0.1")
        assert site.url == f"https://{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    else:
        assert (answer["scheme"], answer["client"][0]) == ("https", "127.0.0.1")
        host, port = answer["server"]
        assert site.url == f"https://{host}:{port}"


def test_bodies_with_and_without_a_length(client: httpx.Client) -> None:
    def pieces() -> Iterator[bytes]:
        for begin in range(0, len(BODY), 50_000):
            yield BODY[begin : begin + 50_000]

    for content in (BODY, pieces()):
        assert client.post("/digest", content=content).json() == DIGEST
    assert client.get("/big?size=3000000").content == b"x" * 3_000_000


def test_streams(client: httpx.Client) -> None:
    with client.stream("GET", "/count?to=2000") as answer:
        assert "content-length" not in answer.headers
        assert [int(line) for line in answer.iter_lines()] == list(range(2000))


def test_statuses_without_a_body(client: httpx.Client) -> None:
    for _ in range(2):
        assert (client.get("/empty").status_code, client.get("/empty").content) == (204, b"")
        answer = client.head("/big?size=77")
        assert (answer.headers["content-length"], answer.content) == ("77", b"")


def test_failures(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    answer = client.get("/fail")
    assert answer.status_code == 500 and "the application's own mistake" not in answer.text
    assert "the application's own mistake" in caplog.text
    assert client.get("/after").status_code == 200


def test_requests_keeps_its_connection(site: Site) -> None:
    with requests.Session() as session:
        session.verify = site.ca_file
        session.trust_env = False
        for number in range(10):
            answer = session.get(f"{site.url}/page/{number}", timeout=20)
            assert answer.json()["path"] == f"/page/{number}"


@pytest.mark.parametrize("version", [("--http1.1",), ("--http1.0", "--no-alpn")], ids=["1.1", "1.0"])
def test_curl(site: Site, tmp_path: Path, version: tuple[str, ...]) -> None:
    body = tmp_path / "body"
    body.write_bytes(BODY)

    def curl(*arguments: str) -> bytes:
        command = ["curl", "-sS", "--fail", "--max-time", "30", *version, "--cacert", site.ca_file, *arguments]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout

    url = site.url + "/digest"
    assert json.loads(curl("-H", "Expect: 100-continue", "--data-binary", f"@{body}", url)) == DIGEST
    if "--http1.1" in version:
        assert json.loads(curl("-H", "Transfer-Encoding: chunked", "--data-binary", f"@{body}", url)) == DIGEST
    assert curl(site.url + "/count?to=3").split() == [b"0", b"1", b"2"]
    head = curl("--head", site.url + "/big?size=5")
    assert b"content-length: 5\r\n" in head.lower()


def test_flask_forms(serve_wsgi: Serve, context: ssl.SSLContext) -> None:
    site = serve_wsgi(flask_app(), publish=True)
    with httpx.Client(verify=context, timeout=20) as client:
        answer = client.post(site.url + "/form", data={"word": "é"}, files={"file": b"z" * 100_000})
        assert answer.json() == {"form": {"word": "é"}, "files": {"file": 100_000}}


def test_fastapi(serve_asgi: Serve, context: ssl.SSLContext) -> None:
    app = fastapi.FastAPI()

    @app.post("/sum/{factor}")
    async def total(factor: int, numbers: list[int], word: Annotated[str, fastapi.Header()]) -> dict[str, Any]:
        return {"sum": factor * sum(numbers), "word": word}

    @app.post("/upload")
    async def upload(file: Annotated[bytes, fastapi.Body(media_type="application/octet-stream")]) -> int:
        return len(file)

    site = serve_asgi(app, publish=True, lifespan="on")
    with httpx.Client(verify=context, base_url=site.url, timeout=20) as client:
        answer = client.post("/sum/2", json=[1, 2, 18], headers={"word": "up"})
        assert answer.json() == {"sum": 42, "word": "up"}
        assert client.post("/sum/two", json=[], headers={"word": "up"}).status_code == 422
        assert client.get("/openapi.json").json()["paths"].keys() == {"/sum/{factor}", "/upload"}
