# SPDX-License-Identifier: Apache-2.0
"""What goes wrong, and the exceptions that tell."""

import asyncio
import os
from collections.abc import Awaitable

import rstream
from rstream import CreateTunnelOptions, TLSOptions

KINDS = (
    rstream.RstreamError,
    rstream.RuntimeError,
    rstream.RstreamRuntimeError,
    rstream.EngineError,
    rstream.ConfigurationError,
    rstream.UnsupportedFeatureError,
    rstream.ProtocolError,
    OSError,
    ConnectionError,
    ConnectionRefusedError,
)


async def attempt(what: str, operation: Awaitable[object]) -> None:
    try:
        result = await operation
    except Exception as error:
        kinds = [kind.__name__ for kind in KINDS if isinstance(error, kind)]
        if isinstance(error, rstream.RstreamError) and not isinstance(error, OSError):
            print(what, kinds, error.code, getattr(error, "engine_code", None), error.details, bool(str(error)))
        else:
            print(what, [kind for kind in kinds if kind.endswith(("OSError", "ConnectionError", "RefusedError"))])
    else:
        print(what, "works:", type(result).__name__)


async def main() -> None:
    host, _, port = os.environ["RSTREAM_ENGINE"].rpartition(":")
    async with rstream.Client.from_env() as client, await client.connect() as control:
        await attempt("another host's name", control.create_tunnel(hostname="elsewhere.example.com"))
        await attempt("a port without tcp", control.create_tunnel(port=80))
        await attempt("a port that is none", control.create_tunnel(protocol="tcp", port=70000))
        await attempt("private tcp", control.create_tunnel(protocol="tcp", publish=False))
        await attempt("datagrams", control.create_tunnel(type="datagram"))
        await attempt("both", control.create_tunnel(CreateTunnelOptions(publish=False), name="x"))
        await attempt("options", control.create_tunnel(CreateTunnelOptions(publish=False)))
        first = await control.create_tunnel(hostname="taken")
        await attempt("a taken name", control.create_tunnel(hostname="taken"))
        await attempt("nobody", client.dial("nobody", zero_rtt=False))
        await attempt("a blank name", client.dial("  "))
        await first.close()
        await attempt("a closed tunnel", first.accept())
        await attempt("closing twice", first.close())
        second = await control.create_tunnel(publish=False)
        await control.close()
        await attempt("closing the channel twice", control.close())
        await attempt("a closed channel", control.create_tunnel(publish=False))
        await attempt("a tunnel of a closed channel", second.accept())
        await attempt("done", control.done())
        await client.close()
        await attempt("a closed client", client.connect())
        await attempt("a closed client's dial", client.dial("x"))

    async def connect(**options: object) -> None:
        async with rstream.Client.from_env(**options) as client:  # type: ignore[arg-type]
            await client.connect()

    os.environ.pop("RSTREAM_ENGINE")
    await attempt("no engine", connect())
    await attempt("nobody listens", connect(engine="127.0.0.1:1"))
    await attempt("a time that is none", connect(engine=f"{host}:{port}", connect_timeout=0))
    await attempt("another one", connect(engine=f"{host}:{port}", operation_timeout=-1))
    await attempt("heartbeats too fast", connect(engine=f"{host}:{port}", heartbeat_interval=0.5))
    await attempt("a token is needed", connect(engine=f"{host}:{port}", require_token=True))
    both = TLSOptions(cert_file="c.pem", key_file="k.pem")
    await attempt("token and certificate", connect(engine=f"{host}:{port}", token="t", tls=both))
    await attempt("a proper one", connect(engine=f"{host}:{port}"))


asyncio.run(main())
