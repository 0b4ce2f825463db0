# SPDX-License-Identifier: Apache-2.0
"""A configuration that two readers have to come to the same with, and why librstream goes its own way where it does."""

import base64
import dataclasses
import json

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

#: A file with contexts of every kind.
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


def context(text, **more):
    """A file with one selected context."""
    return {"yaml": f"defaults: {{context: {{name: c}}}}\ncontexts: [{{name: c, {text}}}]", **more}


def error(name):
    return {"error": f"ERR_RSTREAM_{name}"}


FOUND = {"error": None}
