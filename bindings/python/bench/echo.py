#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures streams that are echoed through Python: this package and the official client, side by side.

Both speak to the same engine, embedded in a process of its own. The program under test is the same for both: one
process that accepts the streams of a private tunnel and echoes them, and dials them. It is a measurement, not a test;
what else the machine does moves the numbers, so that only the ratios within one run mean anything.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

CLIENTS = {"official": "rstream", "ours": "librstream"}
MEBIBYTE = 1 << 20
WINDOW = 64

Stream = Any
Dial = Callable[[], Awaitable[Stream]]


async def echo_chunks(stream: Stream) -> None:
    while data := await stream.read(256 * 1024):
        stream.write(data)
        await stream.drain()


async def echo_lines(stream: Stream) -> None:
    while line := await stream.reader.readline():
        stream.write(line)
        await stream.drain()


async def bulk(dial: Dial, size: int) -> None:
    """One stream, pieces of 64 KiB, as fast as they go."""
    stream, piece, received = await dial(), os.urandom(64 * 1024), 0

    async def send() -> None:
        for _ in range(size // len(piece)):
            stream.write(piece)
            await stream.drain()

    sending = asyncio.create_task(send())
    while received < size // len(piece) * len(piece):
        received += len(await stream.read(256 * 1024))
    await sending
    stream.close()


def lines(length: int) -> Callable[[Dial, int], Awaitable[None]]:
    async def run(dial: Dial, size: int) -> None:
        stream, line = await dial(), b"x" * (length - 1) + b"\n"

        async def send() -> None:
            for number in range(size // length):
                stream.write(line)
                if number % WINDOW == 0:
                    await stream.drain()
                    await asyncio.sleep(0)

        sending = asyncio.create_task(send())
        for _ in range(size // length):
            await stream.reader.readline()
        await sending
        stream.close()

    return run


async def requests(dial: Dial, size: int) -> None:
    """32 streams, one message of 1 KiB under way on each."""
    message = os.urandom(1024)

    async def one() -> None:
        stream = await dial()
        for _ in range(size // 32 // len(message)):
            stream.write(message)
            await stream.drain()
            await stream.readexactly(len(message))
        stream.close()

    await asyncio.gather(*(one() for _ in range(32)))


async def connections(dial: Dial, size: int) -> None:
    """A stream for each 4 KiB, 16 at once."""
    message = os.urandom(4096)

    async def one() -> None:
        for _ in range(size // 16 // len(message)):
            stream = await dial()
            stream.write(message)
            await stream.drain()
            await stream.readexactly(len(message))
            stream.close()
            await stream.wait_closed()

    await asyncio.gather(*(one() for _ in range(16)))


#: What is measured: how it is done, how the streams are echoed, MiB a run.
WORKLOADS: dict[str, tuple[Callable[[Dial, int], Awaitable[None]], Callable[[Stream], Awaitable[None]], float]] = {
    "lines of 64 bytes": (lines(64), echo_lines, 4),
    "lines of 1 KiB": (lines(1024), echo_lines, 16),
    "pieces of 64 KiB": (bulk, echo_chunks, 64),
    "1 KiB and back, 32 streams": (requests, echo_chunks, 8),
    "a stream for 4 KiB, 16 at once": (connections, echo_chunks, 2),
}


async def measure(client_name: str, workload: str, address: str, ca_file: str, quick: bool) -> dict[str, float]:
    module = importlib.import_module(CLIENTS[client_name])
    run, handle, mebibytes = WORKLOADS[workload]
    size = int(mebibytes * MEBIBYTE / (4 if quick else 1))
    tls = module.TLSOptions(ca_file=ca_file)
    options = {"engine": address, "tls": tls, "no_token": True, "read_config_file": False}
    async with module.Client(**options) as client, await client.connect() as control:
        tunnel = await control.create_tunnel(publish=False)
        handling: set[asyncio.Task[None]] = set()

        async def one(stream: Stream) -> None:
            async with stream:
                await handle(stream)

        async def serve() -> None:
            async for stream in tunnel:
                task = asyncio.create_task(one(stream))
                handling.add(task)
                task.add_done_callback(handling.discard)

        serving = asyncio.create_task(serve())
        wall, processor = time.perf_counter(), time.process_time()
        await run(lambda: client.dial(tunnel.id), size)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        serving.cancel()
    return {"MB/s": size / wall / 1e6, "MB/s of processor time": size / processor / 1e6}


async def serve_engine() -> None:
    import librstream

    async with librstream.Engine() as engine:
        print(json.dumps([engine.address, engine.ca_file]), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def measured(arguments: list[str]) -> dict[str, float]:
    command = [sys.executable, __file__, *arguments]
    result: dict[str, float] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return result


def compare(runs: int, quick: bool) -> None:
    command = [sys.executable, __file__, "--engine"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdin is not None and engine.stdout is not None
        listening = engine.stdout.readline()
        if not listening:
            sys.exit("the engine has not started")
        where = json.loads(listening)
        print(f"{runs} runs, medians, MB/s echoed; Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}\n")
        print(f"{'':32}{'official':>10}{'ours':>10}{'ratio':>8}{'by processor time':>20}")
        for workload in WORKLOADS:
            results: dict[str, list[dict[str, float]]] = {name: [] for name in CLIENTS}
            for _ in range(runs):
                for name in CLIENTS:
                    results[name].append(
                        measured(["--measure", name, workload, *where, *(["--quick"] if quick else [])])
                    )
            middle = {
                name: {unit: statistics.median(run[unit] for run in found) for unit in found[0]}
                for name, found in results.items()
            }
            official, ours = (list(middle[name].values()) for name in CLIENTS)
            ratios = f"{ours[0] / official[0]:>8.1f}{ours[1] / official[1]:>20.1f}"
            print(f"{workload:32}{official[0]:>10.1f}{ours[0]:>10.1f}{ratios}", flush=True)
        engine.stdin.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev bench --python", description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="how often each number is measured (5)")
    parser.add_argument("--quick", action="store_true", help="short runs, for a first impression")
    parser.add_argument("--engine", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.engine:
        asyncio.run(serve_engine())
    elif arguments.measure:
        name, workload, address, ca_file = arguments.measure
        print(json.dumps(asyncio.run(measure(name, workload, address, ca_file, arguments.quick))))
    else:
        compare(arguments.runs, arguments.quick)


if __name__ == "__main__":
    main()
