#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A program that signs for a client certificate: mTLS storage of the kind exec, protocol version 1.

Run by the library as `mtls_provider.py DIRECTORY [FAULT]`: DIRECTORY has chain.pem and key.pem, and gets a line in
requests.log for every question. FAULT makes it misbehave.
"""

import base64
import hashlib
import json
import os
import sys
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def capabilities(key, inputs):
    if isinstance(key, rsa.RSAPrivateKey):
        names = ["rsa_pss_rsae_sha256", "rsa_pkcs1_sha256"]
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        names, inputs = ["ed25519"], ["message"]
    else:
        names = ["ecdsa_secp256r1_sha256"]
    return [{"algorithm": name, "inputs": inputs} for name in names]


def sign(key, request):
    data = base64.b64decode(request["data"])
    algorithm = request["algorithm"]
    if algorithm == "ed25519":
        return key.sign(data)
    digest = HASHES[algorithm[-3:]]
    if request["input"] == "digest":
        assert len(data) == digest.digest_size
        digest = utils.Prehashed(digest)
    if algorithm.startswith("ecdsa"):
        return key.sign(data, ec.ECDSA(digest))
    assert request["pssSaltLength"] == 32, request
    return key.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), request["pssSaltLength"]), digest)


def answer(directory, fault, request):
    chain = open(f"{directory}/chain.pem").read()
    key = serialization.load_pem_private_key(open(f"{directory}/key.pem", "rb").read(), None)
    if request["operation"] == "identity":
        inputs = ["digest"] if fault == "digest-only" else ["message", "digest"]
        return {"version": 1, "certificateChain": chain, "capabilities": capabilities(key, inputs)}
    signature = sign(key, request)
    if fault == "wrong-signature":
        signature = sign(key, {**request, "data": base64.b64encode(hashlib.sha256(b"other").digest()).decode()})
    return {"version": 1, "signature": base64.b64encode(signature).decode()}


def main(directory, fault=""):
    request = json.loads(sys.stdin.readline())
    with open(f"{directory}/requests.log", "a") as log:
        log.write(json.dumps({"request": request, "environment": sorted(os.environ), "cwd": os.getcwd()}) + "\n")
    stage, _, kind = fault.rpartition(":")
    if kind in ("", "digest-only", "wrong-signature") or (stage and stage != request["operation"]):
        print(json.dumps(answer(directory, kind, request)))
    elif kind == "denied":
        print(json.dumps({"version": 1, "error": "signing_denied"}))
    elif kind == "slow":
        time.sleep(60)
    elif kind == "status":
        sys.exit(7)
    elif kind == "garbage":
        print("<html>")
    elif kind == "flood":
        sys.stdout.write("x" * 400_000)
    elif kind == "version":
        print(json.dumps({"version": 2}))
    elif kind == "deaf":
        sys.stdin.close()
        print("{}")


if __name__ == "__main__":
    main(*sys.argv[1:])
