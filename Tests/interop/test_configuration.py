# SPDX-License-Identifier: Apache-2.0
"""config.yaml, environment and options as the official Python client reads them and as librstream does.

A case is a file, environment variables and options. Both readers have to come to the same, but for the differences that
are named here with their reason; docs/configuration.md explains them. A difference that is gone fails, too.
"""

import base64
import dataclasses
import itertools
import json
import time

import pytest

from support.certificates import Authority
from support.configuration import Library, official

# -- why librstream goes its own way

CLI_ENVIRONMENT = "the environment of a control plane counts without a context too, as for the official CLI"
CLI_CONTEXT = "a context of the control plane asked for goes before one of none, as for the official CLI"
CLI_IDENTITY = "one section is the identity as a whole, as for the official CLI"
CLI_YAML = "a key that is there twice, or a mapping where there should be none, is a mistake, as for the official CLI"
OWN_TRANSPORT = "the setting is known here"
OWN_CERTIFICATE = "a contradiction is not resolved silently"
OWN_EMPTY = "an empty token is a mistake, not a way to be anonymous"
OWN_ADDRESS = "IPv6 addresses are addresses; port 443 is the one that is meant without a port"
OWN_STRICT = "what no server could answer to is refused before it is used"
OWN_BLANK = "a key with nothing behind it is a key that is not there"
OWN_LAZY = "what is not used is not checked"
OWN_TRIM = "white space around a value is not part of it"


@dataclasses.dataclass
class Case:
    name: str
    yaml: str = ""
    env: dict = dataclasses.field(default_factory=dict)
    options: dict = dataclasses.field(default_factory=dict)
    #: Why the results differ, and what of ours is different then.
    reason: str | None = None
    ours: dict = dataclasses.field(default_factory=dict)


def token(expiry, parts=3):
    payload = base64.urlsafe_b64encode(json.dumps({"exp": expiry}).encode()).decode().rstrip("=")
    return ".".join(["e30", payload, "c2ln"][:parts])


FILE = """
version: 1
defaults: {context: {name: linked}}
environments:
  - apiUrl: https://cp.example/
    auth: {token: {storage: {kind: inline, value: env-block-token}}}
    headers: {x-tenant: "1", X-Other: "2"}
    transport: {mode: tls}
contexts:
  - {name: linked, apiUrl: "https://cp.example", projectEndpoint: abc, engine: "abc.example:443"}
  - {name: managed, apiUrl: "https://cp.example", projectEndpoint: def, region: EU-West}
  - {name: own, engine: "Own.example:8443", auth: {token: {storage: {value: own-token}}}}
  - {name: plain, engine: plain.example}
  - {name: files, engine: files.example, auth: {mtls: {certificateFile: CERT, keyFile: KEY}}}
"""


def systematic():
    """Every context with every way to name an engine and to be somebody."""
    contexts = ["linked", "managed", "own", "plain", "files"]
    engines = [{}, {"engine": "other.example:8443"}, {"engine": "OWN.example:8443"}, {"engine": "abc.example:443"}]
    identities = [
        {},
        {"env": {"RSTREAM_AUTHENTICATION_TOKEN": "variable"}},
        {"options": {"token": "option"}},
        {"options": {"no_token": True}},
        {"env": {"RSTREAM_MTLS_CERT_FILE": "CERT", "RSTREAM_MTLS_KEY_FILE": "KEY"}},
    ]
    for context, engine, (number, identity) in itertools.product(contexts, engines, enumerate(identities)):
        options = {"context": context, **engine, **identity.get("options", {})}
        name = f"{context}-{engine.get('engine', 'its own')}-identity {number}"
        yield Case(name, FILE, identity.get("env", {}), options)


def context(text, **more):
    """A file with one selected context."""
    return {"yaml": f"defaults: {{context: {{name: c}}}}\ncontexts: [{{name: c, {text}}}]", **more}


def error(name):
    return {"error": f"ERR_RSTREAM_{name}"}


FOUND = {"error": None}
SPECIFIC = [
    # files
    Case("nothing at all"),
    Case("engine only", "", {"RSTREAM_ENGINE": "e.example"}),
    Case("blank file", " \n\n", {"RSTREAM_ENGINE": "e.example"}),
    Case("comments only", "# nothing\n", {"RSTREAM_ENGINE": "e.example"}),
    Case("list at the top", "[a, b]", {"RSTREAM_ENGINE": "e.example"}),
    Case("text at the top", "hello", {"RSTREAM_ENGINE": "e.example"}),
    Case("broken YAML", "contexts: [", {"RSTREAM_ENGINE": "e.example"}),
    Case("two documents", "a: 1\n---\nb: 2", {"RSTREAM_ENGINE": "e.example"}),
    Case("unknown tag", "a: !thing x", {"RSTREAM_ENGINE": "e.example"}),
    Case("tab", "a:\n\t- b", {"RSTREAM_ENGINE": "e.example"}),
    Case("unknown keys", **context("engine: e.example, x: {y: z}, transport: {other: 1}")),
    Case("version of the future", "version: 9\nx: y", {"RSTREAM_ENGINE": "e.example"}),
    Case("anchors", "e: &e e.example\ncontexts: [{name: c, engine: *e}]", {"RSTREAM_CONTEXT": "c"}),
    Case("merge keys", "b: &b {engine: e.example}\ncontexts: [{<<: *b, name: c}]", {"RSTREAM_CONTEXT": "c"}),
    Case("string tag", "contexts: [{name: !!str 12, engine: e.example}]", {"RSTREAM_CONTEXT": "12"}),
    Case("missing file", options={"config_path": "/nonexistent/config.yaml", "engine": "e.example"}),
    Case(
        "key twice",
        "contexts: [{name: c, engine: a, engine: b}]",
        {"RSTREAM_CONTEXT": "c"},
        {},
        CLI_YAML,
        error("INVALID_CONFIG"),
    ),
    Case("contexts is no list", "contexts: {name: c}", {"RSTREAM_ENGINE": "e.example"}),
    Case("context is no mapping", "contexts: [c]", {"RSTREAM_ENGINE": "e.example"}),
    Case("environments is no list", "environments: x", {"RSTREAM_ENGINE": "e.example"}),
    Case("defaults is no mapping", "defaults: x", {"RSTREAM_ENGINE": "e.example"}),
    # types
    Case("name is a number", "contexts: [{name: 12, engine: e}]", {"RSTREAM_CONTEXT": "12"}),
    Case("name is a flag", "contexts: [{name: on, engine: e}]", {"RSTREAM_CONTEXT": "on"}),
    Case("name is a date", "contexts: [{name: 2026-01-31, engine: e}]", {"RSTREAM_CONTEXT": "2026-01-31"}),
    Case("name is a time", "contexts: [{name: 12:30, engine: e}]", {"RSTREAM_CONTEXT": "12:30"}),
    Case("name is an exponent", "contexts: [{name: 1.5e+3, engine: e.example}]", {"RSTREAM_CONTEXT": "1.5e+3"}),
    Case("name looks like an exponent", "contexts: [{name: 1e3, engine: e.example}]", {"RSTREAM_CONTEXT": "1e3"}),
    Case("name looks octal", "contexts: [{name: 089, engine: e.example}]", {"RSTREAM_CONTEXT": "089"}),
    Case("name is octal", "contexts: [{name: 017, engine: e.example}]", {"RSTREAM_CONTEXT": "017"}),
    Case("name is y", "contexts: [{name: y, engine: e.example}]", {"RSTREAM_CONTEXT": "y"}),
    Case("name is quoted", "contexts: [{name: '12', engine: e.example}]", {"RSTREAM_CONTEXT": "12"}),
    Case("engine is a number", **context("engine: 12")),
    Case("engine is an address", **context("engine: 10.0.0.1")),
    Case(
        "token is a number",
        **context("engine: e.example, auth: {token: {storage: {value: 12}}}"),
        reason=OWN_EMPTY,
        ours=error("INVALID_CONFIG"),
    ),
    Case("auth is text", **context("engine: e.example, auth: none")),
    Case("token is text", **context("engine: e.example, auth: {token: none}")),
    Case("storage is text", **context("engine: e.example, auth: {token: {storage: none}}")),
    Case("transport is text", **context("engine: e.example, transport: fast")),
    # contexts
    Case("default context", FILE),
    Case("context by variable", FILE, {"RSTREAM_CONTEXT": " own "}),
    Case("context by option over variable", FILE, {"RSTREAM_CONTEXT": "own"}, {"context": "plain"}),
    Case("blank variable", FILE, {"RSTREAM_CONTEXT": " "}),
    Case("context that is missing", FILE, {"RSTREAM_CONTEXT": "none"}),
    Case("default context that is missing", "defaults: {context: {name: x}}", {"RSTREAM_ENGINE": "e.example"}),
    Case("blank default context", "defaults: {context: {name: ' '}}", {"RSTREAM_ENGINE": "e.example"}),
    Case("context twice", "contexts: [{name: c, engine: a}, {name: c, engine: b}]", {"RSTREAM_CONTEXT": "c"}),
    Case(
        "context twice, one of the control plane",
        "contexts: [{name: c, engine: a.example}, {name: c, apiUrl: 'https://x.example', engine: b.example}]",
        {"RSTREAM_CONTEXT": "c", "RSTREAM_API_URL": "https://x.example"},
        {},
        CLI_CONTEXT,
        {**FOUND, "engine": "b.example", "api_url": "https://x.example"},
    ),
    Case(
        "context twice, of two control planes",
        "contexts: [{name: c, apiUrl: 'https://y.example', engine: a.example}, "
        "{name: c, apiUrl: 'https://x.example', engine: b.example}]",
        {"RSTREAM_CONTEXT": "c", "RSTREAM_API_URL": "https://x.example/"},
    ),
    Case("context of no control plane", FILE, {"RSTREAM_CONTEXT": "plain", "RSTREAM_API_URL": "https://x.example"}),
    Case("context of another control plane", FILE, {"RSTREAM_API_URL": "https://x.example"}),
    Case("control plane by option", FILE, {"RSTREAM_API_URL": "https://x.example"}, {"api_url": "https://cp.example"}),
    Case("context without anything", **context("x: y")),
    # control planes
    Case("URL with slashes", "", {"RSTREAM_API_URL": "https://x.example//", "RSTREAM_ENGINE": "e.example"}),
    Case("URL with a path", "", {"RSTREAM_API_URL": "http://localhost:8080/base/", "RSTREAM_ENGINE": "e.example"}),
    Case("URL without scheme", "", {"RSTREAM_API_URL": "x.example", "RSTREAM_ENGINE": "e.example"}),
    Case("URL of another scheme", "", {"RSTREAM_API_URL": "ftp://x.example", "RSTREAM_ENGINE": "e.example"}),
    Case("URL without host", "", {"RSTREAM_API_URL": "https://", "RSTREAM_ENGINE": "e.example"}),
    Case("URL by option", options={"api_url": "nothing", "engine": "e.example"}),
    Case(
        "URL with a user",
        "",
        {"RSTREAM_API_URL": "https://u:p@x.example", "RSTREAM_ENGINE": "e.example"},
        {},
        OWN_STRICT,
        error("INVALID_API_URL"),
    ),
    Case("URL of any context", "contexts: [{name: x, apiUrl: nothing}]", {"RSTREAM_ENGINE": "e.example"}),
    Case("URL of any environment", "environments: [{apiUrl: nothing}]", {"RSTREAM_ENGINE": "e.example"}),
    # engines
    *[
        Case(f"engine {text}", "", {"RSTREAM_ENGINE": text})
        for text in (
            "E.Example",
            "e.example:1",
            "localhost",
            "127.0.0.1:65535",
            " e.example ",
            "tcp://e",
            "e/x",
            "e?x",
            "u@e",
            "a b",
            "-e",
            "e-",
            "e_x",
            "e..x",
            "e:0",
            "a" * 64,
            "e\\x",
            "e#x",
        )
    ],
    Case("engine [::1]:443", "", {"RSTREAM_ENGINE": "[::1]:443"}, {}, OWN_ADDRESS, {**FOUND, "engine": "[::1]"}),
    Case("engine of letters as port", "", {"RSTREAM_ENGINE": "e:x"}, {}, OWN_STRICT, error("INVALID_ENGINE")),
    Case(
        "engine of a port that is too large", "", {"RSTREAM_ENGINE": "e:65536"}, {}, OWN_STRICT, error("INVALID_ENGINE")
    ),
    Case("engine with an empty port", "", {"RSTREAM_ENGINE": "e:"}, {}, OWN_STRICT, error("INVALID_ENGINE")),
    Case("other name of the variable", "", {"RSTREAM_ENGINE_ADDRESS": "e.example"}),
    Case("hidden other name", "", {"RSTREAM_ENGINE_ADDRESS": "e.example", "RSTREAM_ENGINE": ""}),
    Case("engine of the context is broken", **context("engine: 'a b'")),
    Case("broken engine that is not used", **context("engine: 'a b'", env={"RSTREAM_ENGINE": "e.example"})),
    Case(
        "same engine, other port",
        **context("engine: e.example, auth: {token: {storage: {value: t}}}", env={"RSTREAM_ENGINE": "e.example:444"}),
    ),
    Case(
        "same engine, port written out",
        **context("engine: e.example, auth: {token: {storage: {value: t}}}", env={"RSTREAM_ENGINE": "e.example:443"}),
        reason=OWN_ADDRESS,
        ours={**FOUND, "engine": "e.example", "token": "t"},
    ),
    Case(
        "no context, stored token, explicit engine",
        FILE.replace("defaults", "x"),
        {"RSTREAM_ENGINE": "e.example", "RSTREAM_API_URL": "https://cp.example"},
        {},
        CLI_ENVIRONMENT,
        error("STORED_TOKEN_ENGINE_OVERRIDE"),
    ),
    Case(
        "no context, project, stored token",
        FILE.replace("defaults", "x"),
        {"RSTREAM_API_URL": "https://cp.example"},
        {"project_endpoint": "p"},
        CLI_ENVIRONMENT,
        {"token": "env-block-token", "headers": (("X-Other", "2"), ("X-Tenant", "1"))},
    ),
    # regions
    *[
        Case(f"region {text}", FILE, {"RSTREAM_CONTEXT": "linked", "RSTREAM_REGION": text})
        for text in ("eu", "EU-West.1", "auto", "AUTO", " ", "-a", "a-", "a b", "a" * 65, "ä")
    ],
    Case("region and engine", FILE, {"RSTREAM_REGION": "eu", "RSTREAM_ENGINE": "abc.example:443"}),
    Case("region without project", FILE, {"RSTREAM_REGION": "eu", "RSTREAM_CONTEXT": "plain"}),
    Case("region without context", "", {"RSTREAM_REGION": "eu"}),
    Case("region by option over the context's", FILE, {"RSTREAM_CONTEXT": "managed"}, {"region": "us"}),
    Case("region taken back", FILE, {"RSTREAM_CONTEXT": "managed"}, {"region": "auto"}),
    Case("broken region of the context", **context("projectEndpoint: p, region: 'a b'")),
    Case("project by option", FILE, {"RSTREAM_CONTEXT": "managed"}, {"project_endpoint": "other"}),
    Case("project without context", options={"project_endpoint": "p"}),
    # identities
    Case("token with white space", "", {"RSTREAM_AUTHENTICATION_TOKEN": " t\n", "RSTREAM_ENGINE": "e.example"}),
    Case("token of env kind", **context("engine: e.example, auth: {token: {storage: {kind: env, value: t}}}")),
    Case(
        "token of inline provider",
        **context("engine: e.example, auth: {token: {storage: {provider: inline, value: t}}}"),
    ),
    Case(
        "token in a keychain",
        **context("engine: e.example, auth: {token: {storage: {kind: keychain, provider: macos}}}"),
    ),
    Case("token in a file", **context("engine: e.example, auth: {token: {storage: {kind: file, value: t}}}")),
    Case(
        "token in a keychain, not needed",
        **context("engine: e.example, auth: {token: {storage: {kind: keychain}}}", options={"token": "t"}),
        reason=OWN_LAZY,
        ours={**FOUND, "engine": "e.example", "token": "t"},
    ),
    Case(
        "token in a keychain, not wanted",
        **context("engine: e.example, auth: {token: {storage: {kind: keychain}}}", options={"no_token": True}),
    ),
    Case(
        "token without value",
        **context("engine: e.example, auth: {token: {storage: {kind: inline}}}"),
        reason=OWN_EMPTY,
        ours=error("INVALID_CONFIG"),
    ),
    Case(
        "empty token",
        **context("engine: e.example, auth: {token: {storage: {kind: inline, value: ''}}}"),
        reason=OWN_EMPTY,
        ours=error("INVALID_CONFIG"),
    ),
    Case(
        "token as a block",
        "contexts:\n- name: c\n  engine: e.example\n  auth:\n    token:\n      storage:\n"
        "        value: |\n          t\n",
        {"RSTREAM_CONTEXT": "c"},
    ),
    Case("expired token", "", {"RSTREAM_AUTHENTICATION_TOKEN": token(1), "RSTREAM_ENGINE": "e.example"}),
    Case(
        "expired token of two parts", "", {"RSTREAM_AUTHENTICATION_TOKEN": token(1, 2), "RSTREAM_ENGINE": "e.example"}
    ),
    Case(
        "token of tomorrow",
        "",
        {"RSTREAM_AUTHENTICATION_TOKEN": token(int(time.time()) + 86400), "RSTREAM_ENGINE": "e.example"},
    ),
    Case("token with a fraction", "", {"RSTREAM_AUTHENTICATION_TOKEN": token(1.5), "RSTREAM_ENGINE": "e.example"}),
    Case("token with words", "", {"RSTREAM_AUTHENTICATION_TOKEN": token("soon"), "RSTREAM_ENGINE": "e.example"}),
    Case("opaque token with dots", "", {"RSTREAM_AUTHENTICATION_TOKEN": "a.b.c", "RSTREAM_ENGINE": "e.example"}),
    Case(
        "expired token that is stored",
        **context(f"engine: e.example, auth: {{token: {{storage: {{value: {token(1)}}}}}}}"),
    ),
    Case("required and missing", options={"engine": "e.example", "require_token": True}),
    Case(
        "required, token there",
        "",
        {"RSTREAM_AUTHENTICATION_TOKEN": "t"},
        {"engine": "e.example", "require_token": True},
    ),
    Case(
        "required, certificate there",
        "",
        {"RSTREAM_MTLS_CERT_FILE": "CERT", "RSTREAM_MTLS_KEY_FILE": "KEY"},
        {"engine": "e.example", "require_token": True},
    ),
    Case("certificate without key", "", {"RSTREAM_MTLS_CERT_FILE": "CERT", "RSTREAM_ENGINE": "e.example"}),
    Case("key without certificate", "", {"RSTREAM_MTLS_KEY_FILE": "KEY", "RSTREAM_ENGINE": "e.example"}),
    Case("certificate by option", options={"engine": "e.example", "tls": {"cert_file": "CERT", "key_file": "KEY"}}),
    Case(
        "certificate by option over the stored token",
        FILE,
        {"RSTREAM_CONTEXT": "own"},
        {"tls": {"cert_file": "CERT", "key_file": "KEY"}},
    ),
    Case(
        "certificate by option and token by variable",
        "",
        {"RSTREAM_AUTHENTICATION_TOKEN": "t"},
        {"engine": "e.example", "tls": {"cert_file": "CERT", "key_file": "KEY"}},
    ),
    Case("stored certificate without key", **context("engine: e.example, auth: {mtls: {certificateFile: CERT}}")),
    Case("stored key without certificate", **context("engine: e.example, auth: {mtls: {keyFile: KEY}}")),
    Case("stored text without key", **context("engine: e.example, auth: {mtls: {certificate: x}}")),
    Case(
        "stored text",
        **context("engine: e.example, auth: {mtls: {certificate: PEM_CERT, key: PEM_KEY}}"),
        reason=OWN_TRIM,
        ours={},
    ),
    Case(
        "stored text and files",
        **context("engine: e.example, auth: {mtls: {certificateFile: CERT, keyFile: KEY, certificate: x, key: y}}"),
        reason=OWN_CERTIFICATE,
        ours=error("INVALID_CONFIG"),
    ),
    Case(
        "stored files and storage",
        **context("engine: e.example, auth: {mtls: {certificateFile: CERT, keyFile: KEY, storage: {kind: keychain}}}"),
        reason=OWN_CERTIFICATE,
        ours=error("INVALID_CONFIG"),
    ),
    Case("stored in a keychain", **context("engine: e.example, auth: {mtls: {storage: {kind: keychain}}}")),
    Case("stored nowhere", **context("engine: e.example, auth: {mtls: {storage: {}}}")),
    Case(
        "token and certificate in one section",
        **context(
            "engine: e.example, auth: {token: {storage: {value: t}}, mtls: {certificateFile: CERT, keyFile: KEY}}"
        ),
    ),
    Case(
        "token of the environment, certificate of the context",
        "environments: [{apiUrl: 'https://x.example', auth: {token: {storage: {value: t}}}}]\ncontexts: [{name: c, "
        "apiUrl: 'https://x.example', engine: e.example, auth: {mtls: {certificateFile: CERT, keyFile: KEY}}}]",
        {"RSTREAM_CONTEXT": "c"},
        {},
        CLI_IDENTITY,
        {**FOUND, "engine": "e.example", "certificate": "CERT", "key": "KEY", "api_url": "https://x.example"},
    ),
    Case(
        "certificate of the environment, token of the context",
        "environments: [{apiUrl: 'https://x.example', auth: {mtls: {certificateFile: CERT, keyFile: KEY}}}]\ncontexts: "
        "[{name: c, apiUrl: 'https://x.example', engine: e.example, auth: {token: {storage: {value: t}}}}]",
        {"RSTREAM_CONTEXT": "c"},
        {},
        CLI_IDENTITY,
        {**FOUND, "engine": "e.example", "token": "t", "api_url": "https://x.example"},
    ),
    # transports
    *[
        Case(f"transport {text}", "", {"RSTREAM_TUNNEL_TRANSPORT": text, "RSTREAM_ENGINE": "e.example"})
        for text in ("auto", "TLS", " tls ", "tcp", " ")
    ],
    Case(
        "transport quic",
        "",
        {"RSTREAM_TUNNEL_TRANSPORT": "quic", "RSTREAM_ENGINE": "e.example"},
        reason=OWN_TRANSPORT,
        ours={**FOUND, "engine": "e.example"},
    ),
    Case(
        "transport by option",
        "",
        {"RSTREAM_TUNNEL_TRANSPORT": "quic"},
        {"engine": "e.example", "tunnel_transport": "tls"},
    ),
    Case(
        "legacy quic",
        "",
        {"RSTREAM_QUIC_TRANSPORT": "1", "RSTREAM_ENGINE": "e.example"},
        reason=OWN_TRANSPORT,
        ours={**FOUND, "engine": "e.example"},
    ),
    Case("legacy tls", "", {"RSTREAM_QUIC_TRANSPORT": "0", "RSTREAM_ENGINE": "e.example"}),
    Case(
        "legacy gives way",
        "",
        {"RSTREAM_QUIC_TRANSPORT": "1", "RSTREAM_TUNNEL_TRANSPORT": "tls", "RSTREAM_ENGINE": "e.example"},
    ),
    *[
        Case(f"stored transport {text}", **context(f"engine: e.example, transport: {{{text}}}"))
        for text in (
            "mode: tls",
            "mode: Auto",
            "mode: other",
            "mode: 1",
            "useQuic: false",
            "useQuic: no",
            "useQuic: 'true'",
            "useQuic: 1",
            "mode: tls, useQuic: true",
            "tls: {serverName: x}",
        )
    ],
    *[
        Case(
            f"stored transport {text}",
            **context(f"engine: e.example, transport: {{{text}}}"),
            reason=OWN_TRANSPORT,
            ours={**FOUND, "engine": "e.example"},
        )
        for text in ("mode: quic", "useQuic: true")
    ],
    Case(
        "stored quic and a variable",
        **context("engine: e.example, transport: {mode: quic}", env={"RSTREAM_TUNNEL_TRANSPORT": "tls"}),
    ),
    Case(
        "mode without value",
        **context("engine: e.example, transport: {mode: ~}"),
        reason=OWN_BLANK,
        ours={**FOUND, "engine": "e.example"},
    ),
    Case(
        "mptcp: false",
        **context("engine: e.example, transport: {mptcp: false}"),
        reason=OWN_TRANSPORT,
        ours={**FOUND, "engine": "e.example"},
    ),
    Case(
        "dns: {tls: false}",
        **context("engine: e.example, transport: {dns: {tls: false}}"),
        reason=OWN_TRANSPORT,
        ours={**FOUND, "engine": "e.example"},
    ),
    Case(
        "proxies that exclude each other",
        **context("engine: e.example, transport: {proxy: {http: 'http://p', socks5: p}}"),
        reason=OWN_TRANSPORT,
        ours=error("INVALID_CONFIG"),
    ),
    Case(
        "transport of the environment",
        "environments: [{apiUrl: 'https://x.example', transport: {mode: quic}}]\ncontexts: [{name: c, "
        "apiUrl: 'https://x.example', engine: e.example}]",
        {"RSTREAM_CONTEXT": "c"},
        reason=OWN_TRANSPORT,
        ours={**FOUND, "engine": "e.example", "api_url": "https://x.example"},
    ),
    Case(
        "transport of the context over that of the environment",
        "environments: [{apiUrl: 'https://x.example', transport: {mode: quic}}]\ncontexts: [{name: c, "
        "apiUrl: 'https://x.example', engine: e.example, transport: {useQuic: false}}]",
        {"RSTREAM_CONTEXT": "c"},
    ),
    # headers
    *[
        Case(f"headers {text}", "", {"RSTREAM_CONTROL_PLANE_HEADERS": text, "RSTREAM_ENGINE": "e.example"})
        for text in (
            '{"x-api-KEY": "v"}',
            "{}",
            "[]",
            "{",
            '{"a": 1}',
            '{"a b": "v"}',
            '{"Host": "v"}',
            '{"X-Forwarded-For": "v"}',
            '{"a": "v\\n"}',
            '{"a": "1", "A": "2"}',
            '{" a ": "v"}',
            '{"": "v"}',
            " ",
            '{"a": "\\u00e4"}',
        )
    ],
    Case(
        "headers with a bell",
        "",
        {"RSTREAM_CONTROL_PLANE_HEADERS": '{"a": "\\u0007"}', "RSTREAM_ENGINE": "e.example"},
        {},
        OWN_STRICT,
        error("INVALID_CONFIG"),
    ),
    Case(
        "headers over headers",
        FILE,
        {"RSTREAM_CONTROL_PLANE_HEADERS": '{"X-TENANT": "3"}'},
        {"control_plane_headers": {"x-other": "4", "x-new": "5"}},
    ),
    Case(
        "headers of any environment",
        "environments: [{apiUrl: 'https://x', headers: {Cookie: c}}]",
        {"RSTREAM_ENGINE": "e.example"},
    ),
    Case(
        "headers that are no mapping",
        "environments: [{apiUrl: 'https://x', headers: [c]}]",
        {"RSTREAM_ENGINE": "e.example"},
    ),
    Case(
        "headers that are numbers",
        "environments: [{apiUrl: 'https://x', headers: {a: 1}}]",
        {"RSTREAM_ENGINE": "e.example"},
    ),
    # limits
    *[
        Case(f"{name} {value}", options={"engine": "e.example", name: value})
        for name, value in (
            ("connect_timeout", 0.001),
            ("connect_timeout", 0),
            ("connect_timeout", -1),
            ("operation_timeout", 0),
            ("operation_timeout", 60),
            ("heartbeat_interval", 1),
            ("heartbeat_interval", 0.999),
            ("heartbeat_interval", 300),
            ("heartbeat_interval", 300.001),
            ("heartbeat_interval", 1.0005),
        )
    ],
    Case("heartbeats off", options={"engine": "e.example", "heartbeat": False}),
]

# The unsupported keys of the official client that librstream takes up.
for text in ("ipFamily: any", "bind: {mode: other}"):
    SPECIFIC.append(
        Case(f"stored transport {text}", **context(f"engine: e.example, transport: {{{text}}}"), reason=OWN_TRANSPORT)
    )

CASES = [*systematic(), *SPECIFIC]


@pytest.fixture(scope="module")
def library():
    return Library()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A client certificate and its key: files, and the same as text."""
    certificate, key = Authority(tmp_path_factory.mktemp("authority")).issue("client", client=True)
    return {"CERT": certificate, "KEY": key}


def put_in(value, pair):
    """The value with the files where their names stand."""
    if isinstance(value, dict):
        return {name: put_in(inner, pair) for name, inner in value.items()}
    if not isinstance(value, str):
        return value
    for name, path in pair.items():
        value = value.replace(f"PEM_{name}", json.dumps(open(path).read()))
    for name, path in pair.items():
        value = path if value == name else value.replace(f"File: {name}", f"File: {path}")
    return value


def test_there_are_enough_cases():
    assert len(CASES) >= 120
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_come_to_the_same(case, library, pair, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(put_in(case.yaml, pair))
    env = {"RSTREAM_CONFIG": str(file), **put_in(case.env, pair)}
    options = put_in(case.options, pair)
    theirs = official(env, options, tmp_path)
    ours = library.resolve(env, options, tmp_path)
    if case.reason is None:
        assert ours == theirs, library.message
        return
    assert ours != theirs, f"no difference any more: {case.reason}"
    expected = put_in(case.ours, pair)
    assert {name: getattr(ours, name) for name in expected} == expected, library.message
    if ours.error:
        assert expected.get("error") == ours.error, library.message
