# SPDX-License-Identifier: Apache-2.0
"""Who a client says that it is."""

import time

from support.configurations.case import (
    CLI_IDENTITY,
    FILE,
    FOUND,
    OWN_CERTIFICATE,
    OWN_EMPTY,
    OWN_LAZY,
    OWN_TRIM,
    Case,
    context,
    error,
    token,
)

CASES = [
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
]
