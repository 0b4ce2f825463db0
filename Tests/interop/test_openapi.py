# SPDX-License-Identifier: Apache-2.0
"""The engine's description of its API: valid OpenAPI 3.1, by the words of foreign validators, and true."""

import json
import re
import urllib.parse

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from support.ctl import unique
from support.tokens import CREATE, LIST, mint

SECRET = "openapi-test-secret-0123456789abcdef"
STREAMS = {"/sse": "text/event-stream", "/websocket": None}


@pytest.fixture(scope="module")
def document(shared_engine):
    status, body = shared_engine.api("/api/openapi.json")
    assert status == 200
    return json.loads(body)


def resolved(document, value):
    while "$ref" in value:
        found = document
        for name in value["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        value = found
    return value


def check(document, schema, value):
    """Holds a value against a schema; references lead into the document."""
    OAS31Validator({**schema, "components": document["components"]}).validate(value)


def answer(engine, path, query="", headers=None, method="GET"):
    """(status, headers, body; of a response without end its first line)."""
    connection = engine.http()
    try:
        connection.request(method, f"/api{path}{query}", headers=headers or {})
        response = connection.getresponse()
        endless = response.status == 101 or response.headers.get_content_type() == "text/event-stream"
        return response.status, response.headers, b"" if endless else response.read()
    finally:
        connection.close()


def check_answer(document, path, status, headers, body):
    """Fails unless the description has this answer."""
    responses = document["paths"][path]["get"]["responses"]
    assert str(status) in responses, f"{path} answered {status}, which the description does not have"
    response = resolved(document, responses[str(status)])
    for name, header in response.get("headers", {}).items():
        check(document, header["schema"], headers[name])
    content = response.get("content", {})
    if not content:
        return
    ((media_type, media),) = content.items()
    assert headers["Content-Type"].replace("; charset=utf-8", "") == media_type
    if "json" in media_type:
        check(document, media["schema"], json.loads(body))
    elif body:
        check(document, media["schema"], body.decode())


def test_it_is_valid(document):
    assert document["openapi"].startswith("3.1.")
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_the_validator_finds_mistakes(document):
    broken = json.loads(json.dumps(document))
    del broken["paths"]["/tunnels/{id}"]["get"]["parameters"]
    broken["paths"]["/auth"]["get"]["responses"] = {"200": {"content": {}}}
    assert len(list(OpenAPIV31SpecValidator(broken).iter_errors())) >= 2


def handshake(path):
    if path != "/websocket":
        return {}
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    return {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}


def test_every_route_answers_as_described(document, engine, client):
    label = unique("openapi")
    control = client.control(agent=label, os="plan9", arch="z80")
    tunnel = control.open_tunnel(name=label, labels={"k": label}, protocol="http").id.value
    for path in document["paths"]:
        place = path.replace("{id}", tunnel)
        status, headers, body = answer(engine, place, headers=handshake(path))
        assert status == (101 if path == "/websocket" else 200), path
        check_answer(document, path, status, headers, body)
        # Other methods are refused; what is not described is not there.
        assert answer(engine, place, method="POST")[0] == 405
        assert answer(engine, f"{place}/more")[0] == 404
        if path in STREAMS:
            assert answer(engine, place, method="HEAD")[0] == 405
        else:
            assert answer(engine, place, method="HEAD")[0] == 200
    check_answer(document, "/tunnels/{id}", *answer(engine, "/tunnels/none"))
    for path in ("/tunnels", "/clients", "/sse", "/websocket"):
        check_answer(document, path, *answer(engine, path, "?params=%7B", handshake(path)))
        assert answer(engine, path, "?params=%7B", handshake(path))[0] == 400
    for changes in ({"Upgrade": "h2c"}, {"Sec-WebSocket-Version": "8"}, {"Sec-WebSocket-Key": "x"}):
        status, headers, body = answer(engine, "/websocket", headers=handshake("/websocket") | changes)
        assert status in (400, 426)
        check_answer(document, "/websocket", status, headers, body)


def test_who_is_refused(document, start_engine):
    engine = start_engine(settings={"auth.open": "false", "auth.jwt.enabled": "true", "auth.jwt.token_jwt_secret": SECRET})
    listing, creating = ({"Authorization": f"Bearer {mint(SECRET, [permission])}"} for permission in (LIST, CREATE))
    for path, methods in document["paths"].items():
        place = path.replace("{id}", "x")
        secured = methods["get"].get("security", document["security"]) != []
        status, headers, body = answer(engine, place, headers=handshake(path))
        assert (status == 401) == secured, path
        check_answer(document, path, status, headers, body)
        for token in (listing, creating):
            status, headers, body = answer(engine, place, headers=handshake(path) | token)
            assert status != 401
            check_answer(document, path, status, headers, body)
            assert (status == 403) == (token is creating and secured and path != "/auth")
        # A token in the address is for the routes that say so.
        in_address = {"address": []} in methods["get"].get("security", [])
        assert in_address == (path in STREAMS)
        if secured:
            token = mint(SECRET, [LIST])
            assert (answer(engine, place, f"?rstream.token={token}", handshake(path))[0] != 401) == in_address


QUERIES = [
    ("/tunnels", {"limit": 1, "filters": {"name": "x", "publish": True, "labels": {"a": "b", "c": None}}}, True),
    ("/tunnels", None, True),
    ("/tunnels", {"filters": {"labels": None, "type": None}}, True),
    ("/tunnels", {"limit": -1}, False),
    ("/tunnels", {"limit": "x"}, False),
    ("/tunnels", {"filters": {"publish": "yes"}}, False),
    ("/tunnels", {"filters": {"agent": "x"}}, False),
    ("/tunnels", {"filters": {"labels": {"a": 1}}}, False),
    ("/tunnels", {"other": 1}, False),
    ("/tunnels", [], False),
    ("/clients", {"filters": {"agent": "x", "os": "linux", "labels": {"a": None}}}, True),
    ("/clients", {"filters": {"protocol": "http"}}, False),
    ("/sse", {"clients": {"agent": "x"}, "tunnels": {"name": "y"}}, True),
    ("/sse", {"clients": None}, True),
    ("/sse", {"limit": 1}, False),
    ("/sse", {"tunnels": {"agent": "x"}}, False),
    ("/websocket", {"tunnels": {"labels": {"a": None}}}, True),
    ("/websocket", {"tunnels": {"labels": []}}, False),
]


@pytest.mark.parametrize("path, query, good", QUERIES, ids=range(len(QUERIES)))
def test_queries_are_what_the_description_says(document, engine, path, query, good):
    (parameter,) = (
        entry for entry in document["paths"][path]["get"]["parameters"] if entry["name"] == "params" and entry["in"] == "query"
    )
    schema = parameter["content"]["application/json"]["schema"]
    validator = OAS31Validator({**schema, "components": document["components"]})
    assert validator.is_valid(query) == good
    status, _, _ = answer(engine, path, f"?params={urllib.parse.quote(json.dumps(query))}", handshake(path))
    assert status == (101 if path == "/websocket" else 200) if good else status == 400


def test_events_are_what_the_description_says(document, engine, client):
    connection = engine.http()
    connection.request("GET", "/api/sse")
    lines = connection.getresponse().fp
    control = client.control()
    tunnel = control.open_tunnel(name=unique(), labels={"a": "b"}).id.value
    control.close_tunnel(tunnel)
    events = []
    while not events or (events[-1]["type"], events[-1]["object"].get("id")) != ("tunnel.deleted", tunnel):
        if found := re.fullmatch(rb"data: (.*)\n", lines.readline()):
            events.append(json.loads(found.group(1)))
    connection.close()
    assert {"state.initial", "client.created", "tunnel.created"} <= {event["type"] for event in events}
    for event in events:
        check(document, {"$ref": "#/components/schemas/Event"}, event)
