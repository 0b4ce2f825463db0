# SPDX-License-Identifier: Apache-2.0
"""Tokens that are restricted to projects, tunnels, paths and properties: what our engine makes of them, asked by the
official client, by ours and by plain HTTP."""

import asyncio
import base64
import json
import time

import pytest
from rstream import TunnelFilters
from rstream.errors import RuntimeError as OfficialError

from support import wire
from support.ctl import Engine, unique
from support.official import official_client
from support.process import Program, build_product, clean_environment
from support.tokens import CONNECT, CREATE, LIST, mint

SECRET = "boundary-test-secret-0123456789abcdef"
PROJECT = "project-1"
TRANSPORTS = pytest.mark.parametrize("transport", ["sse", "websocket"])


@pytest.fixture(scope="module")
def bounded(tmp_path_factory):
    """An engine that knows static tokens and JWTs and belongs to a project."""
    engine = Engine(
        tmp_path_factory.mktemp("bounded-engine"),
        settings={
            "auth.open": "false",
            "auth.tokens": "static",
            "auth.jwt.enabled": "true",
            "auth.jwt.token_jwt_secret": SECRET,
            "engine.project_id": PROJECT,
            "engine.workspace_id": "workspace-1",
            "timeouts.drain_seconds": "1",
        },
    )
    yield engine
    engine.end()


def token(boundary, permissions=None, **claims):
    return mint(SECRET, permissions, resources={"tunnels": boundary}, **claims)


def scopes(**actions):
    return {"scopes": {"tunnels": actions}}


@pytest.fixture
def pair(bounded):
    """Two tunnels of one client, told from those of other tests by a label: (label, control, ids)."""
    label = unique("bounded")
    client = bounded.fake_client(token="static")
    control = client.control()
    ids = [
        control.open_tunnel(name=f"{label}-{end}", labels={"k": label}, publish=False).id.value for end in ("a", "b")
    ]
    yield label, control, ids
    client.close()


def names(bounded, bearer, **filters):
    status, body = bounded.api("/api/tunnels", {"filters": filters}, token=bearer)
    assert status == 200, body
    return sorted(entry["name"] for entry in body)


# -- lists ------------------------------------------------------------------------------------------------------------


def test_filters_and_selection(bounded, pair):
    label, _, ids = pair
    only = token(scopes(list={"filters": {"name": {"exact": f"{label}-a"}}, "select": {"name": True, "host": True}}))
    assert bounded.api("/api/tunnels", token=only) == (200, [{"name": f"{label}-a"}])
    assert bounded.api(f"/api/tunnels/{ids[0]}", token=only) == (200, {"name": f"{label}-a"})
    assert bounded.api(f"/api/tunnels/{ids[1]}", token=only)[0] == 404
    assert bounded.api("/api/clients", token=only)[0] == 403
    assert bounded.api("/api/auth", token=only)[0] == 200


def test_a_limit_counts_what_is_shown(bounded, pair):
    label, _, _ = pair
    only = token(scopes(list={"filters": {"name": f"{label}-a"}}))
    assert len(bounded.api("/api/tunnels", {"limit": 1}, token=only)[1]) == 1
    assert bounded.api("/api/tunnels", {"limit": 1, "filters": {"name": f"{label}-b"}}, token=only)[1] == []


def test_or_is_the_union_and_and_the_intersection(bounded, pair):
    label, _, _ = pair
    first, second = (scopes(list={"filters": {"name": f"{label}-{end}"}}) for end in ("a", "b"))
    assert names(bounded, token({"OR": [first, second]})) == [f"{label}-a", f"{label}-b"]
    assert names(bounded, token({"AND": [first, second]})) == []
    either = scopes(list={"filters": {"OR": [{"name": f"{label}-a"}, {"AND": [{"labels": {"k": label}}, {"publish": False}]}]}})
    assert names(bounded, token(either)) == [f"{label}-a", f"{label}-b"]


@pytest.mark.parametrize(
    "boundary, status",
    [
        ({"projects": [PROJECT]}, 200),
        ({"projects": ["localhost"]}, 200),
        ({"workspaces": ["workspace-1"]}, 200),
        ({"projects": ["another"]}, 403),
        ({"workspaces": ["another"]}, 403),
        ({"AND": [{"projects": [PROJECT]}, {"projects": ["another"]}]}, 403),
        ({"OR": [{"projects": [PROJECT]}, {"projects": ["another"]}]}, 200),
        ({"AND": [{"projects": [PROJECT]}, scopes(list=True)]}, 200),
        ({"AND": [{"projects": ["another"]}, scopes(list=True)]}, 403),
        (scopes(list=False), 403),
        (scopes(create=True), 403),
        (scopes(create=True, connect=True), 403),
        ([scopes(list=True)], 401),
        ({"OR": []}, 401),
        ({"NOT": [{"projects": [PROJECT]}]}, 401),
        ("everything", 401),
        (scopes(list={"filters": {"name": {"prefix": "x"}}}), 401),
    ],
    ids=str,
)
def test_lists_and_watches_within_the_boundary(bounded, boundary, status):
    bearer = token(boundary)
    assert bounded.api("/api/tunnels", token=bearer)[0] == status
    connection = bounded.http()
    connection.request("GET", "/api/sse", headers={"Authorization": f"Bearer {bearer}"})
    assert connection.getresponse().status == status
    connection.close()


def test_a_permission_is_needed_besides(bounded):
    assert bounded.api("/api/tunnels", token=token(scopes(list=True), [LIST]))[0] == 200
    assert bounded.api("/api/tunnels", token=token(scopes(list=True), [CREATE]))[0] == 403
    assert bounded.api("/api/tunnels", token=token(scopes(create=True), [LIST]))[0] == 403


@TRANSPORTS
async def test_the_official_client_lists_and_watches_within_it(bounded, pair, transport):
    label, control, ids = pair
    only = token(scopes(list={"filters": {"name": f"{label}-a"}, "select": {"name": True, "id": True, "status": True}}))
    async with official_client(bounded, token=only) as official:
        assert [entry.raw for entry in await official.list_tunnels()] == [
            {"id": ids[0], "name": f"{label}-a", "status": "online"}
        ]
        assert await official.list_tunnels(filters=TunnelFilters(name=f"{label}-b")) == []
        async with official.watch(transport=transport) as stream:
            first = await asyncio.wait_for(anext(stream), 10)
            assert [tunnel["id"] for tunnel in first.object["tunnels"]] == [ids[0]] and first.object["clients"] == []
            control.close_tunnel(ids[1])
            control.close_tunnel(ids[0])
            event = await asyncio.wait_for(anext(stream), 10)
            assert (event.type, event.object) == (
                "tunnel.deleted",
                {"id": ids[0], "name": f"{label}-a", "status": "offline"},
            )
    async with official_client(bounded, token=token({"projects": ["another"]})) as official:
        with pytest.raises(OfficialError, match="403|boundary"):
            await official.list_tunnels()


def test_records_say_where_they_belong(bounded, pair):
    label, control, _ = pair
    (entry,) = bounded.tunnels("static", name=f"{label}-a")
    assert (entry["project_id"], entry["workspace_id"]) == (PROJECT, "workspace-1")
    (entry,) = bounded.clients("static", id=control.client_id)
    assert (entry["project_id"], entry["workspace_id"]) == (PROJECT, "workspace-1")


# -- watches ----------------------------------------------------------------------------------------------------------


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def status_with_query_token(engine, path, bearer):
    connection = engine.http()
    try:
        headers = UPGRADE if path == "/api/websocket" else {}
        connection.request("GET", f"{path}?rstream.token={bearer}", headers=headers)
        status = connection.getresponse().status
        return 200 if status == 101 else status
    finally:
        connection.close()


@pytest.mark.parametrize("watch", ["/api/sse", "/api/websocket"])
def test_pitfall71_query_tokens_are_for_short_watches_only(bounded, watch):
    looking = token(scopes(list=True))
    assert status_with_query_token(bounded, watch, looking) == 200
    for path in ("/api/tunnels", "/api/clients", "/api/auth", "/api/tunnels/x"):
        assert status_with_query_token(bounded, path, looking) == 401
    assert status_with_query_token(bounded, watch, token(scopes(list=True), lifetime=3700)) == 401
    assert status_with_query_token(bounded, watch, token(scopes(list=True, connect=True))) == 401
    assert status_with_query_token(bounded, watch, token(scopes(list=True, create=True))) == 401
    assert status_with_query_token(bounded, watch, token({"projects": [PROJECT]})) == 401
    assert status_with_query_token(bounded, watch, token({"projects": [PROJECT]}, [LIST])) == 200
    assert status_with_query_token(bounded, watch, token({"projects": ["another"]}, [LIST])) == 403
    assert status_with_query_token(bounded, watch, token(scopes(list=True), iat="absent")) == 401


def test_a_watch_ends_with_its_token(bounded):
    bearer = mint(SECRET, [LIST], lifetime=3)
    end = json.loads(_payload(bearer))["exp"]
    connection = bounded.http()
    connection.request("GET", "/api/sse", headers={"Authorization": f"Bearer {bearer}"})
    response = connection.getresponse()
    assert response.status == 200 and response.readline().startswith(b"data: ")
    response.read()
    assert end <= time.time() < end + 5
    assert bounded.api("/api/tunnels", token=bearer)[0] == 401


@TRANSPORTS
async def test_the_official_clients_watch_ends_with_its_token(bounded, transport):
    async with official_client(bounded, token=mint(SECRET, [LIST], lifetime=3)) as official:
        async with official.watch(transport=transport) as stream:
            events = [event async for event in stream]
    assert events[0].type == "state.initial"


@TRANSPORTS
def test_our_watch_ends_with_its_token(bounded, tmp_path, transport):
    """And does not connect again with it."""
    bearer = mint(SECRET, [LIST], lifetime=3)
    options = [*bounded.client_options(bearer), *(["--websocket"] if transport == "websocket" else []), "--reconnect"]
    command = [build_product("rstreamctl"), "watch", "--json", *options]
    program = Program(command, tmp_path / "watch.log", environment=clean_environment())
    program.wait_line(type="state.initial")
    assert program.wait_line(20, status="offline")["engine_code"] == 401
    program.judge(program.wait(), 3)
    assert bearer not in program.log


def _payload(bearer):
    text = bearer.split(".")[1]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


# -- tunnels and streams ----------------------------------------------------------------------------------------------


def test_properties_are_forced(bounded, forward, site):
    label = unique("forced")
    create = scopes(
        create={
            "filters": {
                "AND": [
                    {"name": {"exact": label}},
                    {"protocol": "http"},
                    {"publish": True},
                    {"token_auth": True},
                    {"labels": {"k": label}},
                ]
            }
        }
    )
    bearer = token(create, [CREATE])
    forward(bounded, site().address, token=bearer)
    (entry,) = bounded.tunnels("static", name=label)
    assert entry["protocol"] == "http" and entry["publish"] is True and entry["token_auth"] is True
    assert entry["labels"] == {"k": label}
    for arguments in (["--name", "other"], ["--label", f"k=not-{label}"], ["--no-publish"], ["--protocol", "tls"]):
        refused = forward(bounded, "127.0.0.1:9", arguments=arguments, token=bearer, online=False)
        assert refused.wait_line(status="offline")["engine_code"] == 1000
        refused.judge(refused.wait(), expect=3)


def test_clients_of_another_project_are_refused(bounded):
    with pytest.raises(wire.Refused) as refusal:
        bounded.fake_client(token=token({"projects": ["another"]})).control()
    assert refusal.value.code == 1000


def test_dials_within_the_boundary(bounded, pair):
    label, control, ids = pair
    client = bounded.fake_client(token=token(scopes(connect={"filters": {"name": f"{label}-a"}})))
    near, far = client.pair(control, f"{label}-a", zero_rtt=None)
    with near, far:
        near.write(b"hello")
        assert far.read_exactly(5) == b"hello"
    for target in (f"{label}-b", ids[1]):
        with pytest.raises(wire.Refused) as refusal:
            client.dial(target)
        assert refusal.value.code == 1000
    for boundary in (scopes(list=True), scopes(connect=False), scopes(connect={"params": {"path": "/"}})):
        with pytest.raises(wire.Refused) as refusal:
            client.dial(f"{label}-a", token=token(boundary))
        assert refusal.value.code == 1000


def test_http_within_the_boundary(bounded, forward, site, name):
    ours = forward(bounded, site().address, name, ["--property", "token_auth=true"], token="static")

    def status(path, bearer=None):
        connection = bounded.http(ours.host)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {bearer}"} if bearer else {})
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    ping = token(scopes(connect={"filters": {"name": name}, "params": {"path": {"exact": "/ping"}}}), [CONNECT])
    assert status("/ping") == 401
    allowed = status("/ping", "static")
    assert allowed not in (401, 403)
    assert status("/ping", ping) == status("/ping?a=/private", ping) == allowed
    assert status(f"/ping?rstream.token={ping}") == allowed
    for path in ("/private", "/", "/ping/", "/ping/../private", "/%70ing", "/private?/ping", "//ping"):
        assert status(path, ping) == 403, path
    assert status("/ping", token(scopes(connect=True), [LIST])) == 403
    assert status("/ping", token(scopes(connect={"filters": {"name": "another"}}))) == 403
    assert status("/ping", token(scopes(connect={"filters": {"labels": {"k": None}}}))) == 403
    assert status("/ping", token(scopes(list=True))) == 403
    assert status("/ping", token([scopes(connect=True)])) == 401
