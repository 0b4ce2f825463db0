# SPDX-License-Identifier: Apache-2.0
"""Secrets in what the programs write, with everything logged that can be: tokens, passwords, keys, PINs, headers. Each test
ends with a look through all output for every secret that was used, in every form that it has on the wire."""

import base64
import json
import socket
import subprocess
import threading
import urllib.parse

import pytest
from cryptography.hazmat.primitives import serialization

from support import origins, wire
from support.certificates import Authority
from support.control_plane import ControlPlane
from support.ctl import ClientOptions, Engine, unique
from support.nameservers import FakeNameServer, Unbound
from support.process import Program, build_product, clean_environment
from support.proxies import ConnectProxy, Microsocks, Squid, USER, PASSWORD
from support.softhsm import KEYS, MODULE, Tokens, certificate
from support.tokens import mint

LEAST = 6


def forms(secret):
    """A secret as it stands, and as programs write it."""
    raw = secret.encode() if isinstance(secret, str) else secret
    found = {raw, raw.hex().encode(), urllib.parse.quote(raw, safe="").encode()}
    found.add(json.dumps(raw.decode("latin-1"))[1:-1].encode())
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        # Of what follows something else in the same text too: at each of the three places, without what neighbours touch.
        for before in range(3):
            text = encode(b"\0" * before + raw)
            found.add(text[(0, 2, 3)[before] :].rstrip(b"=")[:-1])
    return {form for form in found if len(form) >= LEAST}


class Watch:
    """All that the programs of a test write, and the secrets that must not be in it."""

    def __init__(self, directory):
        self.directory = directory
        self.secrets = {}
        self.programs = []
        self.written = []

    def secret(self, name, value):
        assert len(value) >= LEAST
        self.secrets[name] = value
        return value

    def environment(self, **more):
        return clean_environment(HOME=self.directory, RSTREAM_CONFIG="/dev/null", RSTREAM_LOG="debug", **more)

    def run(self, *arguments, environment=None, fails=True, standard_input=b""):
        """Runs rstreamctl to its end, which is a failure unless told otherwise; returns what it wrote."""
        done = subprocess.run(
            [str(part) for part in (build_product("rstreamctl"), *arguments)],
            env=environment or self.environment(), input=standard_input, capture_output=True, timeout=60,
        )  # fmt: skip
        assert (done.returncode != 0) == fails, (arguments, done.stdout, done.stderr)
        self.written.append((" ".join(map(str, arguments[:2])), done.stdout + done.stderr))
        return (done.stdout + done.stderr).decode(errors="replace")

    def keep(self, program):
        self.programs.append(program)
        return program

    def leaks(self):
        written = list(self.written)
        for program in self.programs:
            written.append((program.command[1], program.log_file.read_bytes() + json.dumps(program.lines).encode()))
        assert any(text for _, text in written), "nothing was written at all"
        return [
            (name, where)
            for where, text in written
            for name, secret in self.secrets.items()
            if any(form in text for form in forms(secret))
        ]


@pytest.fixture
def watch(tmp_path):
    watch = Watch(tmp_path)
    yield watch
    # In time for the ends of programs, which write too: they end before the fixtures they depend on.
    assert watch.leaks() == []


@pytest.fixture
def guarded(tmp_path, watch):
    """An engine that lets nobody in without a token, and says all it can: (engine, token)."""
    secret = watch.secret("jwt secret", "7d1f-the-signing-secret-of-the-engine-c0ffee")
    static = watch.secret("static token", "st4t1c-t0ken-of-the-engine")
    engine = Engine(
        tmp_path / "engine",
        log_level="debug",
        settings={
            "auth.open": "false",
            "auth.tokens": static,
            "auth.jwt.enabled": "true",
            "auth.jwt.token_jwt_secret": secret,
            "timeouts.drain_seconds": 1,
            "timeouts.handshake_seconds": 5,
            "metrics.prometheus.enabled": "true",
            "metrics.prometheus.listen_addr": "127.0.0.1:0",
            "metrics.prometheus.bearer_token": watch.secret("metrics token", "m3trics-t0ken-f0r-nobody"),
        },
        environment=watch.environment(),
    )
    watch.keep(engine)
    yield engine, watch.secret("token", mint(secret))
    if engine.is_running:
        engine.end()


def with_settings(engine, **settings):
    options = list(engine.client_options())
    for name, value in settings.items():
        options += ["--config-set", f"{name.replace('__', '.')}={value}"]
    return options


# -- that the test would find them ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "show",
    [
        lambda s: s,
        lambda s: s.encode().hex(),
        lambda s: urllib.parse.quote(s, safe=""),
        lambda s: json.dumps(s),
        lambda s: base64.b64encode(s.encode()).decode(),
        lambda s: base64.b64encode(f"user:{s}".encode()).decode(),
        lambda s: base64.b64encode(f"u:{s} and more".encode()).decode(),
        lambda s: base64.urlsafe_b64encode(f"us:{s}".encode()).decode(),
    ],
)
def test_a_secret_is_found_in_every_form(tmp_path, show):
    watch = Watch(tmp_path)
    watch.secret("password", 'pass "word:%/+~')
    watch.written.append(("a program", b"a line\nwith " + show('pass "word:%/+~').encode() + b" in it"))
    assert watch.leaks() == [("password", "a program")]


def test_a_secret_is_found_in_logs_and_output(tmp_path, guarded, watch, forward):
    """Where a name is a secret, the engine's log and the agent's output do have it."""
    engine, token = guarded
    plant = unique("planted-secret")
    mine = Watch(tmp_path)
    mine.secret("planted", plant)
    mine.keep(engine)
    mine.keep(forward(engine, "127.0.0.1:9", plant, ["--no-publish"], watch.environment(), token=token)).end()
    mine.run("dial", plant, *engine.client_options(token), environment=watch.environment())
    assert {where for _, where in mine.leaks()} == {"engine", "forward", "dial " + plant}


# -- a whole session --------------------------------------------------------------------------------------------------


def request(engine, host, target, headers=(), method="GET"):
    connection = engine.http(host)
    try:
        connection.request(method, target, headers=dict(headers))
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def test_tokens(guarded, watch, forward, dial, site, tcp_server):
    engine, token = guarded
    wrong = watch.secret("wrong token", "wr0ng-t0ken-that-nobody-knows")
    forged = watch.secret("forged token", mint("an other secret, which the engine does not have"))
    expired = watch.secret("expired token", mint(watch.secrets["jwt secret"], lifetime=-60))
    environment = watch.environment()
    name = unique("secrets")
    agent = watch.keep(
        forward(engine, site().address, name, ["--property", "token_auth=true"], environment, token=token)
    )
    private = unique("secrets")
    watch.keep(forward(engine, tcp_server(origins.upper).address, private, ["--no-publish"], environment, token=token))
    dialer = watch.keep(dial(engine, private, token=token, environment=environment))
    with socket.create_connection(("127.0.0.1", dialer.port), 10) as sock:
        sock.settimeout(20)
        sock.sendall(b"abc")
        assert sock.recv(3) == b"ABC"
    for number, way in enumerate(([], ["--websocket"])):
        watching = watch.keep(
            Program(
                [build_product("rstreamctl"), "watch", "--json", *way, *engine.client_options(token)],
                watch.directory / f"watch-{number}.log", environment=environment,
            )
        )  # fmt: skip
        watching.wait_line()
        watching.end()
    for command in (["tunnels"], ["clients"], ["doctor"]):
        for given in (token, watch.secrets["static token"]):
            watch.run(*command, "--json", *engine.client_options(given), fails=False)
            watch.run(
                *command, *engine.client_options(), fails=False,
                environment=watch.environment(RSTREAM_AUTHENTICATION_TOKEN=given),
            )  # fmt: skip
    for command in (["tunnels"], ["clients"], ["doctor"], ["watch"], ["watch", "--websocket"]):
        for given in (wrong, forged, expired, f"{wrong} {wrong}"):
            watch.run(*command, *engine.client_options(given))
    for given in (wrong, forged, expired):
        watch.run("forward", "9", *engine.client_options(given))
        watch.run("dial", private, *engine.client_options(given))
        assert request(engine, agent.host, f"/ping?a=1&rstream.token={given}") in (401, 403)
        assert request(engine, agent.host, "/", {"Authorization": f"Bearer {given}"}) in (401, 403)
        assert request(engine, engine.host, "/api/tunnels", {"Authorization": f"Bearer {given}"}) in (401, 403)
        assert request(engine, engine.host, f"/api/tunnels/watch?token={given}") in (401, 403, 404)
    for given in (token, wrong):
        for path in ("/api/tunnels", "/api/clients", "/api/nothing", "/nothing", "/api/sse", "/api/websocket"):
            query = f"token={given}&rstream.token={given}&params=" + urllib.parse.quote(json.dumps({"filters": given}))
            request(engine, engine.host, f"{path}?{query}")
            request(engine, engine.host, f"{path}/{given}", {"Authorization": f"Basic {given}", "Cookie": given}, "POST")
        assert request(engine, agent.host, f"/ping?rstream.token={given}") == (200 if given == token else 401)
        # Not even HTTP.
        raw = engine.tls(alpn=["http/1.1"])
        raw.write(f"GET /?token={given} HTTP/9.9\r\nAuthorization: Bearer {given}\r\n\r\n".encode())
        raw.read(timeout=10)
        raw.close()
        watch.run("forward", "9", "--name", "x" * 300, *engine.client_options(given))
    agent.end()


def test_secrets_of_streams_as_the_engine_makes_them(guarded, watch):
    engine, token = guarded
    client = engine.fake_client(token=token)
    control = client.control()
    tunnel = control.open_tunnel(name=unique("secrets"), publish=False)
    dialing = threading.Thread(target=lambda: client.dial(tunnel.id.value, token=token, zero_rtt=True), daemon=True)
    dialing.start()
    asked = control.next_request()
    watch.secret("stream secret", asked.secret.value if hasattr(asked.secret, "value") else asked.secret)
    # Wrong at first, then right, then once more.
    for offered in ("0" * 64, None, None):
        connection = client.connect()
        connection.send(wire.proxy_req(asked.stream_id, offered or watch.secrets["stream secret"]))
        connection.close()
    dialing.join(20)
    client.close()


def test_secrets_of_streams_as_the_engine_s_peer_sees_them(start_fake_engine, watch, forward, tcp_server):
    fake = start_fake_engine()
    token = watch.secret("token", "t0ken-that-the-engine-repeats")
    agent = watch.keep(
        forward(
            fake, tcp_server(origins.echo).address, unique(), ["--no-publish", "--no-zero-rtt"], watch.environment(),
            online=False, token=token,
        )
    )  # fmt: skip
    control = fake.accept_control()
    tunnel = control.grant_tunnel().id.value
    secret = watch.secret("stream secret", "0123456789abcdef" * 2)
    control.send(wire.server_message(f"your token is {token}"))
    stream, _ = control.ask_stream(tunnel, secret=secret)
    connection, asked = fake.accept_proxy()
    assert asked.client_details.token.value == secret
    refusal = wire.pb.Message()
    refusal.proxy_rsp.error.code = 6000
    refusal.proxy_rsp.error.message.value = f"nobody knows {secret}"
    connection.send(refusal)
    control.ask_stream(tunnel, secret=secret)
    fake.accept_proxy()[0].close()
    control.ask_stream("nothing", secret=secret)
    control.ask_stream(tunnel, secret=secret, proxy_endpoint="127.0.0.1:1")
    agent.end()


@pytest.mark.parametrize("mode", ["tls", "quic"])
@pytest.mark.parametrize("where", ["control", "tunnel", "dial"])
def test_an_engine_that_repeats_a_token(start_fake_engine, start_quic_engine, watch, forward, dial, where, mode):
    fake = start_fake_engine() if mode == "tls" else start_quic_engine()
    transport = ["--config-set", f"transport.mode={mode}"]
    token = watch.secret("token", "t0ken-that-the-engine-repeats")
    said = f"the token {token} is refused"
    if where == "dial":
        options = dict(listen=False, token=token, environment=watch.environment())
        program = watch.keep(dial(fake, "somewhere", arguments=["--no-zero-rtt", *transport], **options))
        connection, _ = fake.accept_dial()
        answer = wire.pb.Message()
        answer.stream_rsp.error.code = 1000
        answer.stream_rsp.error.message.value = said
        connection.send(answer)
    else:
        options = dict(online=False, token=token, environment=watch.environment())
        program = watch.keep(forward(fake, "127.0.0.1:9", "x", transport, **options))
        if where == "control":
            connection, _ = fake.accept_request()
            answer = wire.pb.Message()
            answer.open_control_channel_rsp.error.code = 1000
            answer.open_control_channel_rsp.error.message.value = said
            connection.send(answer)
        else:
            fake.accept_control().refuse_tunnel(8000, said)
    program.wait()
    program.judged = True
    assert "the token ... is refused" in program.log


# -- proxies ----------------------------------------------------------------------------------------------------------

HEADER = "h34der-of-the-pr0xy"


def test_proxies(guarded, watch, tmp_path):
    engine, token = guarded
    watch.secret("proxy password", PASSWORD)
    bad = watch.secret("wrong proxy password", "n0t-the-pr0xy-passw0rd")
    watch.secret("proxy header", HEADER)
    quoted = {secret: urllib.parse.quote(secret, safe="") for secret in (PASSWORD, bad)}
    with Squid(authenticate=True) as squid, Microsocks(tmp_path, authenticate=True) as socks:
        for password, fails in ((PASSWORD, False), (bad, True)):
            for scheme, port in (("http", squid.port), ("socks5", socks.port)):
                for command in (["tunnels"], ["doctor"], ["dial", "nobody"]):
                    url = f"{scheme}://{USER}:{quoted[password]}@127.0.0.1:{port}"
                    watch.run(
                        *command, *with_settings(engine, **{f"transport__proxy__{scheme}": url}), "--token", token,
                        fails=fails or command[0] == "dial",
                    )  # fmt: skip
    headers = json.dumps({"X-Gate": HEADER, "Proxy-Authorization": f"Bearer {HEADER}"})
    with ConnectProxy(engine.port) as proxy:
        options = with_settings(
            engine, transport__proxy__http=f"http://127.0.0.1:{proxy.port}", transport__proxy__headers=headers
        )
        watch.run("tunnels", *options, "--token", token, fails=False)
        assert HEADER in proxy.requests[0]


def repeating_proxy(tcp_server):
    """Refuses with what it was sent as its reason."""

    def serve(sock):
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(4096)
        said = head.replace(b"\r\n", b" | ").strip()
        sock.sendall(b"HTTP/1.1 403 " + said[-70:] + b"\r\nContent-Length: 0\r\n\r\n")

    return tcp_server(serve)


@pytest.mark.parametrize("what", ["password", "header"])
def test_a_proxy_that_repeats_what_it_was_sent(guarded, watch, tcp_server, what):
    engine, token = guarded
    port = repeating_proxy(tcp_server).port
    if what == "password":
        watch.secret("proxy password", PASSWORD)
        more = {"transport__proxy__username": USER, "transport__proxy__password": PASSWORD}
    else:
        watch.secret("proxy header", HEADER)
        more = {"transport__proxy__headers": json.dumps({"X-Gate": HEADER})}
    options = with_settings(engine, transport__proxy__http=f"http://127.0.0.1:{port}", **more)
    assert "403" in watch.run("tunnels", *options, "--token", token)


@pytest.mark.parametrize(
    "setting",
    [
        ("transport.proxy.http", "http://agent:{}@127.0.0.1:port"),
        ("transport.proxy.http", "ftp://agent:{}@127.0.0.1:80"),
        ("transport.proxy.http", "http://agent:{}@"),
        ("transport.proxy.socks5", "socks9://agent:{}@127.0.0.1"),
        ("transport.proxy.headers", '{{"X-Gate": "{}"'),
        ("transport.proxy.headers", '{{"X Gate": "{}"}}'),
        ("headers", '{{"X-Gate": "{}\\n"}}'),
        ("headers", '["{}"]'),
        ("auth.mtls.key", "{}"),
        ("auth.tokens", "{}"),
        ("auth.token", "{} {}"),
    ],
)
def test_settings_that_cannot_be(guarded, watch, setting):
    engine, _ = guarded
    secret = watch.secret("a secret", "s3cret-in-a-setting")
    name, text = setting
    watch.run("tunnels", *engine.client_options(), "--config-set", f"{name}={text.format(secret, secret)}")


# -- name servers, configuration files, control planes ----------------------------------------------------------------


def test_name_servers_over_tls(guarded, watch, tmp_path):
    engine, token = guarded
    authority = Authority(tmp_path)
    both = tmp_path / "both.pem"
    both.write_text(open(authority.ca_file).read() + open(engine.ca_file).read())
    records = ["edge.test. 60 IN A 127.0.0.1"]
    with Unbound(tmp_path, certificate=authority.issue("dns.test"), records=records) as unbound:
        for name, fails in (("dns.test", False), ("other.test", True)):
            watch.run(
                "tunnels", "--engine", f"edge.test:{engine.port}", "--server-name", "localhost", "--ca-file", both,
                "--config-set", f"transport.dns.override=127.0.0.1:{unbound.port}",
                "--config-set", "transport.dns.tls=true", "--config-set", f"transport.dns.serverName={name}",
                "--token", token, fails=fails,
            )  # fmt: skip
    with FakeNameServer(lambda question: question.answer(code=2)) as server:
        watch.run(
            "tunnels", "--engine", f"edge.test:{engine.port}", "--config-set",
            f"transport.dns.override={server.address}", "--token", token,
        )  # fmt: skip


FILE = """
defaults: {{context: {{name: own}}}}
environments:
  - apiUrl: {url}
    headers: {{x-gate: {header}}}
    auth: {{token: {{storage: {{kind: inline, value: "{environment}"}}}}}}
contexts:
  - name: own
    engine: {engine}
    auth: {{token: {{storage: {{kind: inline, value: "{token}"}}}}}}
    transport: {{tls: {{caFile: "{ca_file}"}}}}
  - name: managed
    apiUrl: {url}
    projectEndpoint: "127"
    transport: {{tls: {{caFile: "{ca_file}", serverName: localhost}}}}
  - name: keyed
    engine: {engine}
    auth: {{mtls: {{certificate: "x", key: "{key}"}}}}
  - name: proxied
    engine: {engine}
    auth: {{token: {{storage: {{kind: inline, value: "{token}"}}}}}}
    transport:
      tls: {{caFile: "{ca_file}"}}
      proxy: {{http: "http://127.0.0.1:1", username: agent, password: "{password}", headers: {{X-Gate: "{header}"}}}}
{broken}
"""


def test_configuration_files_and_control_planes(guarded, watch, tmp_path):
    engine, token = guarded
    header = watch.secret("control-plane header", "c0ntrol-plane-header")
    stored = watch.secret("stored token", "st0red-t0ken-of-the-environment")
    password = watch.secret("proxy password", "st0red-pr0xy-passw0rd")
    key = watch.secret("key", "st0red-key-which-is-no-PEM")
    plane = ControlPlane()
    file = tmp_path / "config.yaml"

    def environment(broken="", **more):
        values = dict(url=plane.url, header=header, environment=stored, token=token, engine=engine.address)
        values |= dict(ca_file=engine.ca_file, key=key, password=password, broken=broken)
        file.write_text(FILE.format(**values))
        return {**watch.environment(), "RSTREAM_CONFIG": str(file), **more}

    try:
        for context in ("own", "managed", "keyed", "proxied"):
            for command in (["context", "show", context], ["context", "show", context, "--json"], ["context", "list"],
                            ["context", "list", "--json"], ["context", "use", context]):  # fmt: skip
                watch.run(*command, environment=environment(), fails=False)
            for command in (["tunnels"], ["doctor"], ["doctor", "--json"]):
                watch.run(*command, environment=environment(RSTREAM_CONTEXT=context), fails=context != "own")
        # What it was asked with comes back in its error.
        said = {"error": f"{stored} and {header} and {token}"}
        for status in (401, 403, 500):
            plane.tell(said, status)
            watch.run("tunnels", environment=environment(RSTREAM_CONTEXT="managed"))
        plane.answer = (502, "text/plain", f"{header} {stored}".encode(), {})
        watch.run("tunnels", environment=environment(RSTREAM_CONTEXT="managed"))
        assert any(header in str(headers) for _, headers in plane.requests)
        more = json.dumps({"X-More": watch.secret("header of a variable", "header-of-a-variable")})
        for text in (more, more[:-1], f"[{more}]"):
            changed = environment(RSTREAM_CONTEXT="managed", RSTREAM_CONTROL_PLANE_HEADERS=text)
            watch.run("tunnels", environment=changed)
        for broken in (f'"{token}', f"\t{token}: [", f"x: !!int {token}", f"auth: *{stored}", f"{token}\n{stored}: {{"):
            watch.run("tunnels", environment=environment(broken))
    finally:
        plane.close()


# -- client certificates ----------------------------------------------------------------------------------------------


def key_lines(key):
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return text, [line for line in text.splitlines() if "-----" not in line]


def test_keys_and_pins(watch, start_fake_engine, forward, tmp_path):
    key = KEYS["P-256"]()
    chain = certificate(key).public_bytes(serialization.Encoding.PEM).decode()
    text, lines = key_lines(key)
    for number, line in enumerate(lines):
        watch.secret(f"line {number} of the key", line)
    (tmp_path / "chain.pem").write_text(chain)
    (tmp_path / "key.pem").write_text(text)
    fake = start_fake_engine(client_ca=str(tmp_path / "chain.pem"))

    def refused(**settings):
        names = {name.replace("__", "."): value for name, value in settings.items()}
        options = fake.client_options()
        for name, value in names.items():
            options += ["--config-set", f"auth.mtls.{name}={value}"]
        return options

    def accepted(options, environment=None):
        agent = watch.keep(
            forward(ClientOptions(*options), "127.0.0.1:9", unique(), ["--no-publish"],
                    environment or watch.environment(), online=False)
        )  # fmt: skip
        fake.accept_control().grant_tunnel()
        agent.wait_line(status="online")
        agent.end()

    accepted(refused(certificateFile=tmp_path / "chain.pem", keyFile=tmp_path / "key.pem"))
    accepted(refused(certificate=chain, key=text))
    other, _ = key_lines(KEYS["P-256"]())
    for wrong in (refused(certificate=chain, key=text[:60]), refused(certificate=chain, key=text.replace("-----B", "----B")),
                  refused(certificate=text, key=chain), refused(certificate=chain, key=other),
                  refused(certificateFile=tmp_path / "key.pem", keyFile=tmp_path / "chain.pem")):  # fmt: skip
        watch.run("forward", "9", *wrong)

    # On a token.
    hsm = tmp_path / "hsm"
    hsm.mkdir()
    tokens = Tokens(hsm)
    pin = watch.secret("PIN", tokens.make("agents", "p1n-of-the-t0ken"))
    tokens.put("agents", pin, key, "agent", "01")
    stored = refused(
        storage__kind="pkcs11", storage__module=MODULE, storage__tokenLabel="agents", storage__keyLabel="agent",
        storage__certificateFile=tmp_path / "chain.pem", storage__pinEnv="AGENT_PIN",
    )  # fmt: skip
    accepted(stored, watch.environment(AGENT_PIN=pin, **tokens.environment))
    wrong_pin = watch.secret("wrong PIN", "wr0ng-p1n")
    watch.run("forward", "9", *stored, environment=watch.environment(AGENT_PIN=wrong_pin, **tokens.environment))
    watch.run("doctor", *stored, environment=watch.environment(AGENT_PIN=wrong_pin, **tokens.environment))

    # With a program, which talks too much.
    talkative = tmp_path / "provider"
    talkative.write_text(f"#!/bin/sh\ncat {tmp_path}/key.pem >&2\ncat {tmp_path}/key.pem\necho $AGENT_PIN\nexit 3\n")
    talkative.chmod(0o755)
    program = refused(
        storage__kind="exec", storage__certificateSHA256="00" * 32, **{"storage__exec__command": talkative},
        **{"storage__exec__passEnv": '["AGENT_PIN"]'},
    )  # fmt: skip
    watch.run("forward", "9", *program, environment=watch.environment(AGENT_PIN=pin))
    talkative.write_text(f'#!/bin/sh\necho "{{\\"version\\":1,\\"error\\":\\"$AGENT_PIN\\"}}"\n')
    watch.run("forward", "9", *program, environment=watch.environment(AGENT_PIN=pin))
