# SPDX-License-Identifier: Apache-2.0
"""Situations that once broke a client or an engine, 1 to 8: heartbeats and liveness.

A test is named after its number. Numbers 9 to 17 are in test_pitfalls_control.py, 18 to 26 in test_pitfalls_tunnels.py,
27 to 35 in test_pitfalls_stream_requests.py, 36 to 42 in test_pitfalls_stream_ends.py; the forms that 12, 39 and 40 have
over QUIC only are in test_pitfalls_quic.py. "Engine" tests play a client against our engine, "client" tests play an engine
against our client. What is not shown of some of them:

  16      jitter between the reconnects of one process: needs the supervised agent; the engine's part is tested
  22      a revocation that the engine decides on by itself: our engine has no policy that revokes, so our client's
          part is tested, and the engine's end of all tunnels when it drains is in test_lifecycle.py
  39      half close over CONNECT in HTTP/2 and HTTP/3: the engine has no such consumers
"""

import time

import pytest

from support import origins, wire
from support.agents import fails_with, start_agent
from support.fake_client import FakeClient

FAST = ["--config-set", "heartbeat.intervalMs=1000"]


def test_pitfall_01_engine_sends_no_heartbeat_that_was_not_negotiated(client, name):
    """A client that did not ask for liveness breaks off on any heartbeat, so the engine never sends one."""
    control = client.control(liveness=None)
    assert not control.ok.HasField("liveness")
    control.open_tunnel(name=name, publish=False)
    for _ in range(3):
        control.send(wire.heartbeat())
        time.sleep(0.7)
    assert control.received("heartbeat") == [] and control.is_open


def test_pitfall_01_client_tolerates_an_engine_without_liveness(fake_engine, agent, tcp_server):
    """Without liveness in the answer heartbeats are empty, unacknowledged, and an empty one from the engine is fine."""
    process, control, tunnel = agent(tcp_server(origins.echo).address, liveness=None, arguments=FAST)
    control.send(wire.heartbeat())
    time.sleep(2.3)
    beats = control.received("heartbeat")
    assert len(beats) >= 2 and all(beat.sequence == 0 and beat.acknowledgement == 0 for beat in beats)
    assert process.lines_with(status="offline") == []
    with control.open_stream(tunnel.id.value) as stream:
        stream.write(b"x")
        assert stream.read_exactly(1) == b"x"


def test_pitfall_01_client_without_liveness_refuses_acknowledgements(fake_engine, agent, tcp_server):
    """An acknowledgement of something that was never numbered breaks the protocol."""
    process, control, _ = agent(tcp_server(origins.echo).address, liveness=None)
    control.send(wire.heartbeat(acknowledgement=1))
    fails_with(process, "ERR_RSTREAM_PROTOCOL")


@pytest.mark.parametrize("interval", [1000, 5000, 12345, 300000])
def test_pitfall_02_engine_echoes_the_interval_exactly(client, interval):
    """Clients abort unless the interval is theirs to the millisecond and the timeout is sane."""
    liveness = client.control(liveness=interval).ok.liveness
    assert liveness.heartbeat_interval_ms == interval
    assert max(interval, 4300) <= liveness.heartbeat_timeout_ms <= 900_000


@pytest.mark.parametrize("interval", [0, 1, 999, 300_001, 4_294_967_295])
def test_pitfall_02_engine_with_intervals_outside_the_range(client, interval):
    """Such a request is refused with 2000, answered without liveness, or echoed with a timeout every client accepts."""
    try:
        ok = client.control(liveness=interval).ok
    except wire.Refused as refusal:
        assert refusal.code == 2000
        return
    if ok.HasField("liveness"):
        assert ok.liveness.heartbeat_interval_ms == interval
        assert interval <= ok.liveness.heartbeat_timeout_ms <= 900_000


@pytest.mark.parametrize(
    "liveness",
    [(5001, 15000), (4999, 15000), (5000, 4999), (5000, 900_001), (0, 0), (5000, 0), (5000, 2**32 - 1)],
    ids=str,
)
def test_pitfall_02_client_refuses_a_bad_liveness_policy(forward, fake_engine, liveness):
    """An interval other than asked for, or a timeout outside interval..900,000 ms, is a broken protocol."""
    process, _ = start_agent(forward, fake_engine, liveness=liveness)
    fails_with(process, "ERR_RSTREAM_PROTOCOL")


@pytest.mark.parametrize("liveness", [(5000, 5000), (5000, 900_000)], ids=str)
def test_pitfall_02_client_accepts_the_bounds(forward, fake_engine, liveness):
    """The bounds themselves are allowed."""
    _, control = start_agent(forward, fake_engine, liveness=liveness)
    control.grant_tunnel()
    assert control.is_open


def test_pitfall_02_client_refuses_liveness_it_did_not_ask_for(forward, fake_engine):
    """With heartbeats off the engine must not answer with a policy."""
    process, control = start_agent(
        forward, fake_engine, ["--config-set", "heartbeat.enabled=false"], liveness=(5000, 15000)
    )
    assert not control.request.HasField("liveness")
    fails_with(process, "ERR_RSTREAM_PROTOCOL")


def test_pitfall_03_engine_acknowledges_only_the_newest(client):
    """Acknowledgements grow strictly, never exceed what was sent, and carry no sequence of their own."""
    control = client.control(liveness=60000)
    control.send(*(wire.heartbeat(sequence) for sequence in range(1, 21)))
    control.expect("heartbeat", where=lambda beat: beat.acknowledgement == 20)
    control.send(wire.heartbeat(20), wire.heartbeat(5), wire.heartbeat(0), wire.heartbeat(21))
    try:
        control.expect("heartbeat", where=lambda beat: beat.acknowledgement == 21, timeout=3)
    except wire.Closed:
        pass  # repeating a number breaks the protocol; ending the channel over it is the engine's right
    beats = control.received("heartbeat")
    numbers = [beat.acknowledgement for beat in beats]
    assert numbers == sorted(set(numbers)) and 0 not in numbers
    assert all(beat.sequence == 0 for beat in beats)


@pytest.mark.parametrize(
    "beats",
    [
        [wire.heartbeat(0, 0)],
        [wire.heartbeat(1, 1)],
        [wire.heartbeat(0, 2)],
        [wire.heartbeat(0, 1), wire.heartbeat(0, 1)],
        [wire.heartbeat(0, 2**64 - 1)],
    ],
    ids=["zero", "with-sequence", "ahead", "repeated", "far-ahead"],
)
def test_pitfall_03_client_refuses_wrong_acknowledgements(forward, fake_engine, beats):
    """0, repeated, ahead of what was sent, or with a sequence: the engine is not to be trusted any more."""
    process, control = start_agent(forward, fake_engine, auto_ack=False)
    assert control.expect("heartbeat").sequence == 1
    control.grant_tunnel()
    process.wait_line(status="online")
    control.send(*beats)
    fails_with(process, "ERR_RSTREAM_PROTOCOL")


def test_pitfall_04_client_lives_on_any_message(forward, fake_engine):
    """Acknowledgements may be skipped as long as something arrives; silence ends the channel after the timeout."""
    process, control = start_agent(forward, fake_engine, FAST, liveness=(1000, 1500), auto_ack=False)
    control.grant_tunnel()
    process.wait_line(status="online")
    for _ in range(6):
        time.sleep(0.6)
        control.send(wire.server_message("still here"))
    last = len(control.received("heartbeat"))
    assert last >= 3 and process.lines_with(status="offline") == []
    control.send(wire.heartbeat(acknowledgement=last))
    silent_since = time.monotonic()
    fails_with(process, "ERR_RSTREAM_CONTROL_LIVENESS")
    assert 1.0 < time.monotonic() - silent_since < 4


def test_pitfall_05_acknowledgements_do_not_wait_behind_a_backlog(engine, client, name):
    """A flood of stream requests must not delay the heartbeat's answer by more than a moment."""
    control = client.control(liveness=60000)
    control.open_tunnel(name=name, publish=False)
    dialers = [engine.fake_client().dial(name, zero_rtt=True) for _ in range(100)]
    for sequence in range(1, 6):
        sent = time.monotonic()
        control.send(wire.heartbeat(sequence))
        control.expect("heartbeat", timeout=2, where=lambda beat: beat.acknowledgement == sequence)
        assert time.monotonic() - sent < 1
    for stream in dialers:
        stream.close()


def test_pitfall_06_a_paused_path_is_survived(engine, pausing_proxy, name):
    """The client's writes may hang for 4.2 s; channel, tunnel and stream go on when the path is back."""
    proxy = pausing_proxy(engine.port)
    with FakeClient(proxy.port, engine.ca_file) as slow, engine.fake_client() as dialer:
        control = slow.control(liveness=1000)
        control.send(wire.heartbeat(1))
        control.open_tunnel(name=name, publish=False)
        near, far = dialer.pair(control, name)
        proxy.pause()
        near.write(b"during the pause")
        for sequence in range(2, 6):
            control.send(wire.heartbeat(sequence))
            time.sleep(1.05)
        proxy.resume()
        assert far.read_exactly(16) == b"during the pause"
        control.expect("heartbeat", where=lambda beat: beat.acknowledgement == 5)
        assert control.is_open and engine.tunnels(name=name)


@pytest.mark.timeout(120)
def test_pitfall_07_and_08_legacy_clients_stay_and_silent_ones_go(engine, client, name):
    """Liveness is enforced exactly where it was negotiated.

    A legacy client sends empty heartbeats, rarely, and expects no answer: it stays beyond any negotiated timeout. A
    client that negotiated liveness and falls silent loses its channel and registrations; its spliced stream goes on.
    """
    legacy = client.control(liveness=None)
    legacy_tunnel = legacy.open_tunnel(name=f"{name}-legacy", publish=False)
    legacy.send(wire.heartbeat())
    control = client.control(liveness=1000)
    timeout = control.ok.liveness.heartbeat_timeout_ms / 1000
    assert timeout <= 30, "this test would wait too long"
    control.open_tunnel(name=name, hostname=name)
    near, far = client.pair(control, name)
    silent_since = time.monotonic()
    control.expect_end(timeout + 5)
    assert timeout - 1 < time.monotonic() - silent_since < timeout + 4
    assert engine.tunnels(name=name) == [] and engine.clients(id=control.client_id) == []
    near.write(b"spliced streams drain")
    assert far.read_exactly(21) == b"spliced streams drain"
    far.write(b"both ways")
    assert near.read_exactly(9) == b"both ways"
    assert client.control().open_tunnel(hostname=name).hostname.value
    assert legacy.is_open and legacy.received("heartbeat") == []
    legacy.send(wire.heartbeat())
    assert engine.tunnels(id=legacy_tunnel.id.value)
