# SPDX-License-Identifier: Apache-2.0
"""Situations that once broke a client or an engine, 18 to 26: tunnels. See test_pitfalls.py for the rest."""

import threading
import time

import pytest

from support import origins, wire
from support.agents import fails_with, start_agent
from support.dialers import WaitingDial, hammering
from support.fake_client import echo
from support.waiting import wait_until

CPP_AGENT = "rstream-utils"


def test_pitfall_18_engine_answers_before_it_asks_for_streams(engine, client, name):
    """Consumers that try all the time must never cause a ProxyConnReq ahead of the tunnel's OpenTunnelRsp."""
    dialer = engine.fake_client()
    with hammering(dialer, name):
        for _ in range(15):
            control = client.control()
            tunnel = control.open_tunnel(name=name, publish=False)
            request = control.next_request()
            kinds = control.kinds()
            assert kinds.index("open_tunnel_rsp") < kinds.index("proxy_conn_req")
            assert request.tunnel_id == tunnel.id.value
            control.drop()
    dialer.close()


def test_pitfall_18_client_serves_a_request_right_behind_the_answer(forward, fake_engine, tcp_server):
    """OpenTunnelRsp and the first ProxyConnReq in one segment: the tunnel is there when the request is handled."""
    forward(fake_engine, tcp_server(origins.echo).address, "x", ["--no-publish"], online=False)
    control = fake_engine.accept_control()
    control.grant_tunnel(tunnel_id="t-1", then=[wire.proxy_conn_req("t-1", "ab" * 12, "secret")])
    stream, request = fake_engine.accept_proxy()
    assert request.stream_id == "ab" * 12
    stream.write(b"x")
    assert stream.read_exactly(1) == b"x"
    assert not control.expect("proxy_conn_rsp").HasField("error")


def test_pitfall_19_orphaned_tunnels_fail_their_consumers_fast(client, name):
    """A tunnel whose creation the client gave up stays until the channel ends; its error answers end dials at once."""
    control = client.control()
    control.send(wire.open_tunnel("forgotten", name=name, publish=False))
    dialer = None
    wait_until(lambda: control.received("open_tunnel_rsp"))

    def refuse():
        request = control.next_request()
        control.send(wire.proxy_conn_rsp(request.stream_id, (4000, "tunnel is not open on this client")))

    thread = threading.Thread(target=refuse)
    thread.start()
    started = time.monotonic()
    with pytest.raises(wire.Refused) as refusal:
        dialer = client.dial(name)
    assert refusal.value.code in (4000, 6000) and time.monotonic() - started < 2 and dialer is None
    thread.join()


def test_pitfall_19_client_ignores_answers_nobody_waits_for(fake_engine, agent, tcp_server):
    """An OpenTunnelRsp or CloseTunnelRsp of something unknown changes nothing; a stream for it is answered with an
    error."""
    process, control, tunnel = agent(tcp_server(origins.echo).address)
    late = wire.pb.Message()
    late.open_tunnel_rsp.request_id = "nobody"
    late.open_tunnel_rsp.tunnel_properties.id.value = "orphan"
    control.send(late, wire.close_tunnel_rsp("nobody"), wire.server_message("hello"))
    stream_id, _ = control.ask_stream("orphan")
    answer = control.expect("proxy_conn_rsp")
    assert answer.stream_id == stream_id and answer.HasField("error")
    with control.open_stream(tunnel.id.value) as stream:
        stream.write(b"x")
        assert stream.read_exactly(1) == b"x"
    assert process.lines_with(status="offline") == []


def test_pitfall_20_ids_are_never_reused(client):
    """Tunnel ids stay unique over creations and closes, channels included."""
    ids, clients = [], []
    for _ in range(2):
        control = client.control()
        clients.append(control.client_id)
        for _ in range(100):
            ids.append(control.open_tunnel(publish=False).id.value)
            if len(ids) % 3 == 0:
                control.close_tunnel(ids[-1])
    assert len(set(ids)) == len(ids) == 200 and "" not in ids
    assert len(set(clients)) == 2


def test_pitfall_20_client_refuses_a_duplicate_id(forward, fake_engine):
    """An answer without an id, or with an unusable type, is a broken protocol rather than a tunnel without a name."""
    process, control = start_agent(forward, fake_engine)
    request = control.expect("open_tunnel_req")
    answer = wire.pb.Message()
    answer.open_tunnel_rsp.request_id = request.request_id
    answer.open_tunnel_rsp.tunnel_properties.type.value = "bytestream"
    control.send(answer)
    fails_with(process, "ERR_RSTREAM_PROTOCOL")


@pytest.mark.parametrize("agent_name, answers", [("rstream-go", 2), (CPP_AGENT, 1)])
def test_pitfall_21_repeated_closes_of_a_tunnel(engine, agent_name, answers):
    """A client that repeats a close after a timeout is answered again, except the one kind that breaks on it."""
    client = engine.fake_client(agent=agent_name)
    control = client.control()
    tunnel_id = control.open_tunnel(publish=False).id.value
    control.send(wire.close_tunnel(tunnel_id), wire.close_tunnel(tunnel_id))
    control.open_tunnel(publish=False)
    found = [answer.tunnel_id for answer in control.received("close_tunnel_rsp")]
    assert found == [tunnel_id] * answers
    client.close()


def test_pitfall_21_closing_an_unknown_tunnel(client):
    """An id that never was is answered as if it had been closed, and harms nobody else's tunnel."""
    control, other = client.control(), client.control()
    foreign = other.open_tunnel(publish=False)
    control.close_tunnel("never-there")
    control.send(wire.close_tunnel(foreign.id.value))
    assert control.open_tunnel(publish=False).id.value
    assert other.is_open and not other.received("close_tunnel_rsp")
    client.dial(foreign.id.value, zero_rtt=True).close()
    assert other.next_request().tunnel_id == foreign.id.value


def test_pitfall_22_client_accepts_a_revocation(fake_engine, agent, tcp_server):
    """One unsolicited CloseTunnelRsp ends the tunnel: the client says so and asks for no close of its own."""
    process, control, tunnel = agent(tcp_server(origins.echo).address)
    stream = control.open_stream(tunnel.id.value)
    stream.write(b"x")
    assert stream.read_exactly(1) == b"x"
    control.send(wire.close_tunnel_rsp(tunnel.id.value))
    process.wait_line(status="offline")
    process.judge(process.wait(timeout=15), expect=(3, 5))
    assert not control.received("close_tunnel_req")


def test_pitfall_23_no_stream_is_asked_for_after_the_close(engine, client, name):
    """Consumers keep coming while the tunnel closes: nothing for it follows its CloseTunnelRsp."""
    dialer = engine.fake_client()
    control = client.control()
    with hammering(dialer, name):
        for _ in range(15):
            tunnel_id = control.open_tunnel(name=name, publish=False).id.value
            control.next_request(tunnel_id=tunnel_id)
            control.close_tunnel(tunnel_id)
    closed = set()
    for _, kind, message in control.history:
        if kind == "close_tunnel_rsp":
            assert message.close_tunnel_rsp.tunnel_id not in closed
            closed.add(message.close_tunnel_rsp.tunnel_id)
        elif kind == "proxy_conn_req":
            assert message.proxy_conn_req.tunnel_id not in closed
    assert len(closed) == 15
    dialer.close()


def test_pitfall_24_closing_a_tunnel_keeps_its_streams_and_fails_its_waiters(client, name):
    """Delivered streams go on; consumers whose stream has not come yet are told at once."""
    control = client.control()
    tunnel_id = control.open_tunnel(name=name, publish=False).id.value
    near, far = client.pair(control, name)
    waiter = WaitingDial(client, name)
    control.next_request()
    control.close_tunnel(tunnel_id)
    assert waiter.wait().after < 3
    near.write(b"goes on")
    assert far.read_exactly(7) == b"goes on"
    with pytest.raises(wire.Refused) as refusal:
        client.dial(name)
    assert refusal.value.code == 3000


def test_pitfall_24_client_keeps_streams_of_a_revoked_tunnel(fake_engine, agent, tcp_server):
    """The same on the client's side when the control channel is lost: running streams are carried to their end."""
    process, control, tunnel = agent(tcp_server(origins.echo).address)
    stream = control.open_stream(tunnel.id.value)
    stream.write(b"x")
    assert stream.read_exactly(1) == b"x"
    control.abort()
    process.wait_line(status="offline")
    # rstreamctl exits when its tunnel is lost; that running streams survive is the library's part (test_library.py).
    process.judge(process.wait(timeout=15), expect=5)


def test_pitfall_25_the_newest_of_a_name_wins(engine, client, name):
    """A process killed and started again within a second: its name leads to the new tunnel, in dials and in lists."""
    old, new = client.control(), client.control()
    first = old.open_tunnel(name=name, publish=False)
    second = new.open_tunnel(name=name, publish=False)
    client.dial(name, zero_rtt=True).close()
    assert new.next_request().tunnel_id == second.id.value
    assert not old.received("proxy_conn_req")
    assert engine.tunnels(name=name)[0]["id"] == second.id.value
    old.abort()
    wait_until(lambda: [entry["id"] for entry in engine.tunnels(name=name)] == [second.id.value])
    third = client.control().open_tunnel(name=name, publish=False)
    new.drop()
    wait_until(lambda: [entry["id"] for entry in engine.tunnels(name=name)] == [third.id.value])
    assert first.id.value != third.id.value


def test_pitfall_25_the_elder_of_a_name_comes_back(client, name):
    """When the newest closes, the name leads to the one that is still there."""
    old, new = client.control(), client.control()
    first = old.open_tunnel(name=name, publish=False)
    second = new.open_tunnel(name=name, publish=False)
    new.close_tunnel(second.id.value)
    client.dial(name, zero_rtt=True).close()
    assert old.next_request().tunnel_id == first.id.value


EXPECTED = {
    "private": (dict(publish=False), dict(type="bytestream", publish=False), False),
    "nothing": (dict(), dict(type="bytestream", publish=True, protocol="http", http_version="http/1.1"), True),
    "http": (dict(protocol="http"), dict(type="bytestream", publish=True, http_version="http/1.1"), True),
    "http-tls": (dict(protocol="http", upstream_tls=True), dict(type="bytestream", upstream_tls=True), True),
    "tls": (dict(protocol="tls"), dict(type="bytestream", publish=True, tls_mode="terminated"), True),
    "passthrough": (dict(protocol="tls", tls_mode="passthrough"), dict(tls_mode="passthrough"), True),
    "tcp": (dict(protocol="tcp"), dict(type="bytestream", publish=True, protocol="tcp"), True),
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_pitfall_26_the_answer_carries_all_that_clients_go_by(engine, client, kind):
    """Type decides the class clients make; host, hostname and port are what they print and connect to."""
    request, expected, published = EXPECTED[kind]
    tunnel = client.control().open_tunnel(**request)
    assert tunnel.id.value and tunnel.type.value == "bytestream" and tunnel.creation_date.seconds > 0
    for field, value in expected.items():
        assert tunnel.HasField(field) and getattr(tunnel, field).value == value, field
    if not published:
        assert not any(tunnel.HasField(field) for field in ("host", "hostname", "port"))
        return
    assert tunnel.hostname.value and tunnel.port.value
    assert tunnel.host.value == f"{tunnel.hostname.value}:{tunnel.port.value}"
    if kind == "tcp":
        assert tunnel.hostname.value == engine.host and tunnel.port.value != engine.port
    else:
        assert tunnel.hostname.value.endswith(f".t.{engine.host}") and tunnel.port.value == engine.port


def test_pitfall_26_what_was_asked_for_comes_back(client, name):
    """Names, labels and lists are confirmed as they are."""
    tunnel = client.control().open_tunnel(
        name=name,
        labels={"a": "1", "b": ""},
        protocol="tls",
        tls_alpns=["x", "y"],
        trusted_ips=["127.0.0.1", "10.0.0.0/8"],
    )
    assert tunnel.name.value == name and dict(tunnel.labels) == {"a": "1", "b": ""}
    assert list(tunnel.tls_alpns) == ["x", "y"] and len(tunnel.trusted_ips) == 2


def test_handlers_of_the_fake_client_echo(client, name):
    """The helper that the tests of streams rely on."""
    control = client.control()
    control.open_tunnel(name=name, publish=False)
    control.serve(echo)
    with client.dial(name) as stream:
        stream.write(b"abc")
        assert stream.read_exactly(3) == b"abc"
