# SPDX-License-Identifier: Apache-2.0
"""Every context with every way to name an engine and to be somebody."""

import itertools

from support.configurations.case import FILE, Case


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
