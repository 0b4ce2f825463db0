# SPDX-License-Identifier: Apache-2.0
"""Programs that end with everything open: no crash, no hang, no noise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import librstream
import pytest

OPEN = '''
import asyncio, atexit, os, signal, socket, sys, threading, time
import librstream

KEPT = []

async def open_everything(on_connection=None, tasks=True):
    """An engine, a client, tunnels, and streams in the middle of a transfer; nothing is closed."""
    engine = librstream.Engine()
    await engine.start()
    client = engine.client()
    control = await client.connect()
    tunnel = await control.create_tunnel(publish=False)
    near, far = await asyncio.gather(client.dial(tunnel.id), tunnel.accept())
    near.write(bytes(3_000_000))
    far.reader
    served = await control.create_tunnel(publish=False)
    service = socket.create_server(("127.0.0.1", 0))
    KEPT.append([engine, client, control, tunnel, near, far, service])
    if tasks:
        KEPT.append(asyncio.create_task(served.forward_to(*service.getsockname(), on_connection=on_connection)))
        KEPT.append(asyncio.create_task(tunnel.accept()))
        KEPT.append(asyncio.create_task(near.read(1)))
        await asyncio.sleep(0)
    third = await client.dial(served.id)
    third.write(b"x")
    KEPT.append(third)
    KEPT.append((await client.dial(tunnel.id)).into_socket())
    KEPT.append(await client.dial(tunnel.id))
    print("open", flush=True)
    return KEPT[0]

'''

#: What a program does, its exit status, and the last line on standard error.
PROGRAMS = {
    "main returns": ("async def main():\n    await open_everything()\nasyncio.run(main())", 0, ""),
    "sys.exit in main": ("async def main():\n    await open_everything()\n    sys.exit(3)\nasyncio.run(main())", 3, ""),
    "an exception leaves main": (
        "async def main():\n    await open_everything()\n    raise ValueError('boom')\nasyncio.run(main())",
        1,
        "ValueError: boom",
    ),
    "sys.exit in a callback of the library": (
        """
        async def main():
            await open_everything(lambda event: sys.exit(4))
            await asyncio.sleep(20)
        asyncio.run(main())
        """,
        4,
        "",
    ),
    "sys.exit in a protocol": (
        """
        class Exits(asyncio.Protocol):
            def data_received(self, data):
                sys.exit(5)
        async def main():
            engine, client, control, tunnel, _, _, _ = await open_everything()
            (await client.dial(tunnel.id)).use_protocol(Exits)
            async for stream in tunnel:
                stream.write(b"exit")
                KEPT.append(stream)
        asyncio.run(main())
        """,
        5,
        "",
    ),
    "sys.exit in a callback of asyncio": (
        """
        async def main():
            await open_everything()
            asyncio.get_running_loop().call_soon(sys.exit, 6)
            await asyncio.sleep(20)
        asyncio.run(main())
        """,
        6,
        "",
    ),
    "main is cancelled": (
        """
        async def main():
            await open_everything()
            asyncio.current_task().cancel()
            await asyncio.sleep(20)
        try:
            asyncio.run(main())
        except asyncio.CancelledError:
            print("cancelled")
        """,
        0,
        "",
    ),
    "the loop stays open": (
        """
        loop = asyncio.new_event_loop()
        loop.run_until_complete(open_everything(tasks=False))
        """,
        0,
        "",
    ),
    "the loop is closed and everything forgotten": (
        """
        import gc
        loop = asyncio.new_event_loop()
        loop.run_until_complete(open_everything(tasks=False))
        KEPT.clear()
        gc.collect()
        loop.close()
        gc.collect()
        """,
        0,
        "",
    ),
    "the loop is closed and everything kept": (
        """
        loop = asyncio.new_event_loop()
        engine, client, control, tunnel, near, far, _ = loop.run_until_complete(open_everything(tasks=False))
        loop.close()
        near.close(); far.abort(); near.writer.write(b"x"); near.reader.at_eof()
        """,
        0,
        "",
    ),
    "another loop afterwards": (
        """
        for _ in range(3):
            asyncio.run(open_everything())
        """,
        0,
        "",
    ),
    "a daemon thread goes on": (
        """
        ready = threading.Event()
        async def main():
            _, _, _, _, near, far, _ = await open_everything()
            ready.set()
            while True:
                far.write(bytes(10000)); await far.drain(); await asyncio.sleep(0)
        threading.Thread(target=asyncio.run, args=(main(),), daemon=True).start()
        ready.wait()
        time.sleep(0.05)
        """,
        0,
        "",
    ),
    "sys.exit with a handler of atexit that looks at it": (
        """
        async def main():
            await open_everything()
            atexit.register(lambda: print(KEPT[0][3].closed, KEPT[0][4].is_closing()))
            sys.exit(7)
        asyncio.run(main())
        """,
        7,
        "",
    ),
    "the end of a child": (
        """
        async def main():
            _, _, _, _, near, far, _ = await open_everything()
            child = os.fork()
            if child == 0:
                near.close(); far.write(b"never sent")
                sys.exit(8)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 8
            await near.drain()
            assert await far.read(1) == b"\\0"
        asyncio.run(main())
        """,
        0,
        "",
    ),
    "os._exit": ("async def main():\n    await open_everything()\n    os._exit(9)\nasyncio.run(main())", 9, ""),
    "blocking code ends": (
        """
        from librstream import blocking
        engine = blocking.Engine()
        engine.start()
        client = engine.client()
        control = client.connect()
        tunnel = control.create_tunnel(publish=False)
        near, far = client.dial(tunnel.id), tunnel.accept()
        near.write(bytes(100_000))
        """,
        0,
        "",
    ),
    "blocking code exits in a callback": (
        """
        from librstream import blocking
        engine = blocking.Engine()
        engine.start()
        client = engine.client()
        tunnel = client.connect().create_tunnel(publish=False)
        service = socket.create_server(("127.0.0.1", 0))
        stream = client.dial(tunnel.id)
        tunnel.forward_to(*service.getsockname(), on_connection=lambda event: sys.exit(10))
        """,
        10,
        "",
    ),
}

INTERRUPTED = {
    "asyncio.run": """
        async def main():
            await open_everything()
            await asyncio.sleep(20)
        asyncio.run(main())
        """,
    "run_until_complete": """
        loop = asyncio.new_event_loop()
        async def main():
            _, _, _, _, near, far, _ = await open_everything(tasks=False)
            while True:
                near.write(bytes(1000))
                await far.read(1000)
        loop.run_until_complete(main())
        """,
    "an accept that blocks": """
        from librstream import blocking
        with blocking.Engine() as engine, engine.client() as client, client.connect() as control:
            tunnel = control.create_tunnel(publish=False)
            print("open", flush=True)
            tunnel.accept()
        """,
}


def start(program: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RSTREAM_")}
    environment["RSTREAM_LIBRARY"] = librstream.library_path()
    text = OPEN + textwrap.dedent(program)
    command = [sys.executable, "-X", "faulthandler", "-c", text]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_end(name: str) -> None:
    program, status, last = PROGRAMS[name]
    process = start(program)
    output, errors = process.communicate(timeout=20)
    assert process.returncode == status, errors
    assert errors.strip().rpartition("\n")[2] == last, errors
    assert errors.count("Traceback") == bool(last), errors
    assert status or output.startswith("open\n") or "blocking" in name


@pytest.mark.parametrize("name", INTERRUPTED)
def test_control_c(name: str) -> None:
    process = start(INTERRUPTED[name])
    assert process.stdout is not None and process.stdout.readline() == "open\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT, errors
    assert errors.strip().endswith("KeyboardInterrupt"), errors
    assert "Exception ignored" not in errors and "never" not in errors, errors
