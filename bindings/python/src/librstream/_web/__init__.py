# SPDX-License-Identifier: Apache-2.0
"""What the ASGI and WSGI helpers share: HTTP/1.1 on streams."""

try:
    import h11 as _h11  # noqa: F401
except ImportError as error:
    raise ImportError(
        "librstream.asgi and librstream.wsgi need the package h11: pip install 'librstream[asgi]' or 'librstream[wsgi]'"
    ) from error
