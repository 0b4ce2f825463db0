# SPDX-License-Identifier: Apache-2.0
"""JSON Web Tokens signed with HMAC-SHA-256, made by hand so that broken ones can be made as well."""

import base64
import hashlib
import hmac
import json
import time

CREATE = "tunnels.tunnels.create-delete"
CONNECT = "tunnels.streams.create-delete"
LIST = "tunnels.resources.read-only"


def _base64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def mint(secret, permissions=None, lifetime=3600, algorithm="HS256", **claims):
    """`permissions` None leaves the holder unrestricted; a list restricts it to these."""
    now = int(time.time())
    body = {"type": "auth", "userId": "user-1", "permissions": permissions, "iat": now, "exp": now + lifetime}
    body.update(claims)
    body = {name: value for name, value in body.items() if value != "absent"}
    signed = f"{_base64(json.dumps({'alg': algorithm, 'typ': 'JWT'}).encode())}.{_base64(json.dumps(body).encode())}"
    if algorithm == "none":
        return f"{signed}."
    digest = getattr(hashlib, f"sha{algorithm[2:]}")
    return f"{signed}.{_base64(hmac.new(secret.encode(), signed.encode(), digest).digest())}"
