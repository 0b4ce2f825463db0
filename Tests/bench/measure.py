# SPDX-License-Identifier: Apache-2.0
"""The measurements: each returns its values by the names that the table and targets.py use."""

import json
import os
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

from targets import IDLE_STREAMS, IDLE_STREAMS_USED

SOURCES = Path(__file__).resolve().parent
PROGRAMS = {
    "service": ["service.c", "net.c"],
    "load": ["load.c", "net.c", "bulk.c", "requests.c", "latency.c", "hold.c", "packets.c"],
    "relay": ["relay.c", "net.c"],
    "library": ["library.c", "net.c"],
}
RUN_LIMIT_SECONDS = 120
SPARE_DESCRIPTORS = 64
"""What a program needs beside its connections: listeners, the loop, the log, control channels."""


class Failed(Exception):
    """A measurement could not be made."""


def raise_descriptors():
    """Lets this process and all that it starts have as many descriptors as the system allows; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def compile_programs(directory):
    """Compiles the load generators and the local service."""
    compiler = os.environ.get("CC", "cc")
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Werror", f"-I{SOURCES.parents[1]}/include"]
    directory.mkdir(parents=True, exist_ok=True)
    for program, sources in PROGRAMS.items():
        paths = [str(SOURCES / source) for source in sources]
        subprocess.run([compiler, *flags, "-o", str(directory / program), *paths, "-ldl"], check=True)


class Service:
    """The local service."""

    def __init__(self, programs):
        self.process = subprocess.Popen([programs / "service"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def run_load(programs, *arguments):
    command = [str(programs / "load"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_LIMIT_SECONDS, check=False)
    if done.returncode != 0:
        raise Failed(done.stderr.strip() or f"load ended with {done.returncode}")
    return json.loads(done.stdout)


class Traffic:
    """What is measured on a running peer, alternating between the peers."""

    def __init__(self, programs, quick):
        self.programs = programs
        self.seconds = 1 if quick else 4
        self.connections = 300 if quick else 1000

    def bulk(self, peer):
        return {way: run_load(self.programs, way, peer.port, self.seconds)["mbit_per_second"] for way in ("upload", "download")}

    def _requests(self, peer, kind, connections):
        result = run_load(self.programs, kind, peer.port, connections, self.seconds)
        if result["failed"] > 0:
            raise Failed(f"{result['failed']} of {result['failed'] + result['completed']} requests failed")
        return {kind: result["per_second"]}

    def requests(self, peer):
        return {**self._requests(peer, "keep-alive", 48), **self._requests(peer, "close", 16)}

    def latency(self, peer):
        result = run_load(self.programs, "latency", peer.port, self.connections)
        return {"first byte p50": result["p50_us"], "first byte p99": result["p99_us"]}


class Holder:
    """A load program that holds connections until this is closed."""

    def __init__(self, programs, port, count):
        command = [str(programs / "load"), "hold", str(port), str(count)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.held = self._answer()["held"]

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"hold ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self._answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def packets(programs, peer, seconds):
    """Echoed packets a second, and the share in percent of those that did not come back."""
    result = run_load(programs, "packets", peer.port, seconds)
    if not result["answered"]:
        raise Failed("no packet came back")
    return {"packets": result["per_second"], "packets lost": 100 * result["lost"] / result["sent"]}


def idle_memory(programs, peer, service, quick):
    """KB of resident memory that an idle connection takes on each side of a fresh pair."""
    count = 300 if quick else 1500
    peer.start(service.port)
    try:
        # What is allocated once, at the first connections, is not the price of an idle one.
        run_load(programs, "latency", peer.port, 20)
        before = (peer.server.rss_kb(), peer.client.rss_kb())
        with Holder(programs, peer.port, count) as holder:
            if holder.held != count or holder.ask("alive")["alive"] != count:
                raise Failed(f"only {holder.held} of {count} idle connections could be held")
            after = (peer.server.rss_kb(), peer.client.rss_kb())
    finally:
        peer.stop()
    return {side: (b - a) / count for side, a, b in zip(("idle, server", "idle, client"), before, after)}


def held_at_once(programs, peer, service, descriptors):
    """Holds idle streams, then uses some of them at once. A process has two descriptors a stream: engine and agent."""
    possible = (descriptors - SPARE_DESCRIPTORS) // 2
    count = min(IDLE_STREAMS, possible)
    peer.start(service.port)
    try:
        with Holder(programs, peer.port, count) as holder:
            alive = holder.ask("alive")["alive"]
            used = holder.ask(f"use {min(IDLE_STREAMS_USED, count)}")["answered"]
            alive_then = holder.ask("alive")["alive"]
    finally:
        peer.stop()
    note = f"{count} asked for"
    if count < IDLE_STREAMS:
        note += f", all that the {descriptors} descriptors of a process allow here"
    return {"held at once": min(alive, alive_then), "used at once": used}, note


def library_cost(programs, peer, service, build, runs):
    """Size, load time and memory of librstream.so."""
    path = (Path(build) / "librstream.so.1").resolve()
    with tempfile.TemporaryDirectory() as directory:
        stripped = shutil.copy(path, directory)
        subprocess.run(["strip", "--strip-unneeded", stripped], check=True)
        size = os.path.getsize(stripped)
    values = []
    peer.start(service.port)
    try:
        command = [str(programs / "library"), str(path), peer.engine["address"], peer.engine["ca_file"]]
        for _ in range(runs):
            done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_LIMIT_SECONDS, check=False)
            if done.returncode != 0:
                raise Failed(done.stderr.strip() or f"library ended with {done.returncode}")
            cost = json.loads(done.stdout)
            values.append(
                {
                    "library size": size / 1e6,
                    "library load": cost["load_ms"],
                    "library memory": (cost["rss_connected_kb"] - cost["rss_before_kb"]) / 1024,
                    "library memory, own": cost["anonymous_kb"] / 1024,
                }
            )
    finally:
        peer.stop()
    return values
