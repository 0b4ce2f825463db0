# SPDX-License-Identifier: Apache-2.0
"""The engine's HTTP API: lists with filters, health, what it answers to nonsense."""

import datetime

import pytest

from support import wire
from support.ctl import unique


def test_health(engine):
    assert engine.api("/api/health/live") == (200, {"status": "live"})
    assert engine.api("/api/health/ready") == (200, {"status": "ready"})


def test_auth_on_an_open_engine(engine):
    assert engine.api("/api/auth")[0] == 200


def test_a_tunnel_in_full(engine, client):
    label = unique("label")
    control = client.control()
    tunnel = control.open_tunnel(name=label, labels={"k": label}, hostname=label)
    (entry,) = engine.tunnels(labels={"k": label})
    assert entry["id"] == tunnel.id.value and entry["name"] == label and entry["status"] == "online"
    assert entry["type"] == "bytestream" and entry["publish"] is True and entry["protocol"] == "http"
    assert entry["http_version"] == "http/1.1" and entry["labels"] == {"k": label}
    assert entry["hostname"] == f"{label}.t.{engine.host}" and entry["port"] == engine.port
    assert entry["host"] == f"{label}.t.{engine.host}:{engine.port}"
    assert entry["client_id"] == control.client_id
    created = datetime.datetime.fromisoformat(entry["creation_date"].replace("Z", "+00:00"))
    assert abs((datetime.datetime.now(datetime.timezone.utc) - created).total_seconds()) < 60
    assert None not in entry.values() and "" not in entry.values() and [] not in entry.values()
    status, single = engine.api(f"/api/tunnels/{tunnel.id.value}")
    assert status == 200 and single == entry
    control.close_tunnel(tunnel.id.value)
    assert engine.tunnels(labels={"k": label}) == []
    assert engine.api(f"/api/tunnels/{tunnel.id.value}")[0] == 404


def test_private_tunnels_have_no_address(engine, client, name):
    client.control().open_tunnel(name=name, publish=False)
    (entry,) = engine.tunnels(name=name)
    assert entry["publish"] is False and not {"host", "hostname", "port"} & entry.keys()


def test_tls_tunnel_properties(engine, client, name):
    client.control().open_tunnel(
        name=name, protocol="tls", tls_alpns=["a", "b"], tls_min_version="tls1.3", trusted_ips=["127.0.0.0/8"]
    )
    (entry,) = engine.tunnels(name=name)
    assert entry["tls_mode"] == "terminated" and entry["tls_alpns"] == ["a", "b"]
    assert entry["tls_min_version"] == "tls1.3" and entry["trusted_ips"] == ["127.0.0.0/8"]


def test_tunnel_filters(engine, client):
    label = unique("label")
    control, other = client.control(), client.control()
    first = control.open_tunnel(name=f"{label}-1", labels={"k": label, "n": "1"}, publish=False).id.value
    second = control.open_tunnel(name=f"{label}-2", labels={"k": label}).id.value
    third = other.open_tunnel(name=f"{label}-3", labels={"k": label}, protocol="tls").id.value

    def found(limit=None, **filters):
        params = {"filters": {"labels": {"k": label}, **filters}}
        if limit is not None:
            params["limit"] = limit
        status, body = engine.api("/api/tunnels", params)
        assert status == 200, body
        return {entry["id"] for entry in body}

    assert found() == {first, second, third}
    assert found(publish=True) == {second, third}
    assert found(protocol="tls") == {third}
    assert found(name=f"{label}-2") == {second}
    assert found(id=first) == {first}
    assert found(client_id=other.client_id) == {third}
    assert found(type="bytestream") == {first, second, third}
    assert found(type="datagram") == set()
    assert found(status="online") == {first, second, third}
    assert found(labels={"k": label, "n": None}) == {first}
    assert found(labels={"k": label, "n": "2"}) == set()
    assert found(http_version="http/1.1") == {second}
    assert len(found(limit=2)) == 2


def test_clients_and_their_filters(engine, client):
    control = client.control(agent="special-agent", version="1.4.5", os="plan9")
    (entry,) = engine.clients(id=control.client_id)
    assert entry["agent"] == "special-agent" and entry["os"] == "plan9" and entry["channel"] == "test"
    assert entry["status"] == "online" and entry["protocol_version"] == "1.4.5" and "token" not in entry
    assert [found["id"] for found in engine.clients(agent="special-agent")] == [control.client_id]
    assert engine.clients(agent="special-agent", os="linux") == []
    control.close()
    assert engine.clients(agent="special-agent") == []


MALFORMED = [
    "{",
    "[]",
    "1",
    '{"limit":-1}',
    '{"limit":"x"}',
    '{"filters":[]}',
    '{"filters":{"labels":[]}}',
    '{"filters":{"name":5}}',
    "{" * 5000,
    "\xff",
]


@pytest.mark.parametrize("params", MALFORMED, ids=range(len(MALFORMED)))
@pytest.mark.parametrize("path", ["/api/tunnels", "/api/clients"])
def test_malformed_params_are_400(engine, path, params):
    status, body = engine.api(path, params)
    assert status == 400, (status, body)
    assert len(str(body)) < 1000


def test_a_filter_of_another_type_is_400(engine):
    assert engine.api("/api/tunnels", '{"filters":{"publish":"yes"}}')[0] == 400


@pytest.mark.parametrize("path", ["/", "/api", "/api/", "/api/nothing", "/api/tunnels/none", "/api/tunnels/a/b", "/x"])
def test_unknown_paths_are_404_with_a_short_text(engine, path):
    connection = engine.http()
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    assert response.status == 404 and len(body) < 1000 and b"<html" not in body.lower()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_other_methods_are_405(engine, method):
    connection = engine.http()
    connection.request(method, "/api/tunnels", body=b"{}")
    response = connection.getresponse()
    response.read()
    assert response.status == 405


def test_keep_alive(engine):
    connection = engine.http()
    ends = set()
    for path in ("/api/health/live", "/api/tunnels", "/api/nothing", "/api/clients"):
        connection.request("GET", path)
        connection.getresponse().read()
        ends.add(connection.sock.getsockname())
    assert len(ends) == 1


def test_all_ways_to_the_api_by_alpn(engine):
    for alpn in (None, ["http/1.1"]):
        with engine.tls(alpn=alpn) as stream:
            stream.write(f"GET /api/health/live HTTP/1.1\r\nHost: {engine.host}\r\nConnection: close\r\n\r\n".encode())
            assert stream.read_all().endswith(b'{"status":"live"}')


def test_a_label_with_every_kind_of_character(engine, client, name):
    labels = {'quote"': 'a"b', "back\\slash": "\\", "space": " a b ", "umlaut": "äöü €", "empty": ""}
    client.control().open_tunnel(name=name, labels=labels, publish=False)
    (entry,) = engine.tunnels(name=name)
    assert entry["labels"] == labels


def test_listing_many_tunnels(engine, client):
    label = unique("many")
    control = client.control()
    for number in range(300):
        control.send(wire.open_tunnel(f"r{number}", name=f"{label}-{number}", labels={"k": label}, publish=False))
    for _ in range(300):
        control.expect("open_tunnel_rsp")
    assert len(engine.tunnels(labels={"k": label})) == 300
    control.close()
    assert engine.tunnels(labels={"k": label}) == []
