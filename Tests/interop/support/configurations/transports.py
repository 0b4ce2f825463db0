# SPDX-License-Identifier: Apache-2.0
"""How a client gets to an engine: transports, headers, limits."""

from support.configurations.case import FILE, FOUND, OWN_BLANK, OWN_STRICT, OWN_TRANSPORT, Case, context, error

CASES = [
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
    CASES.append(
        Case(f"stored transport {text}", **context(f"engine: e.example, transport: {{{text}}}"), reason=OWN_TRANSPORT)
    )
