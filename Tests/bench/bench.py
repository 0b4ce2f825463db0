#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures tunnels side by side: direct, OpenSSH -R, a pair of stunnel4, and ours over TLS and over QUIC.

Consumers, servers, clients and the local service share this machine, so only ratios within one run mean anything.
docs/performance.md tells what is measured and how to read it.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True

import measure
import report
from peers import NotReady, PacketService, all_peers, packet_peers

ROOT = Path(__file__).resolve().parents[2]
METRICS = ("bulk", "requests", "latency", "packets", "idle", "held", "library")
PEERS = ("direct", "ssh", "stunnel", "ours", "quic")


def parse_arguments():
    def chosen(allowed):
        def parse(text):
            names = text.split(",")
            unknown = [name for name in names if name not in allowed]
            if unknown:
                raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)} (known: {', '.join(allowed)})")
            return names

        return parse

    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="short runs, for a first impression")
    parser.add_argument("--runs", type=int, metavar="N", help="how often each number is measured (5; 1 with --quick)")
    parser.add_argument("--only", type=chosen(METRICS), default=METRICS, metavar="NAMES", help=",".join(METRICS))
    parser.add_argument("--peers", type=chosen(PEERS), default=PEERS, metavar="NAMES", help=",".join(PEERS))
    parser.add_argument("--build", default=ROOT / "build", metavar="DIR", help="where librstream.so.1 and rstreamctl are")
    parser.add_argument("--json", metavar="FILE", help="writes every value of every run there")
    arguments = parser.parse_args()
    arguments.runs = arguments.runs or (1 if arguments.quick else 5)
    if arguments.runs < 1:
        parser.error("--runs takes a positive number")
    return arguments


class Bench:
    def __init__(self, arguments, directory):
        self.arguments = arguments
        self.results = report.Results()
        self.broken = False
        self.descriptors = measure.raise_descriptors()
        self.programs = Path(arguments.build).resolve() / "bench"
        measure.compile_programs(self.programs)
        load, cores = os.getloadavg()[0], os.cpu_count()
        self.note(f"Linux {platform.release()}, {cores} cores, load before the start {load:.1f}")
        self.peers = []
        for peer in all_peers(directory, Path(arguments.build).resolve()):
            if peer.name not in arguments.peers:
                continue
            if peer.missing():
                self.note(f"{peer.name}: left out, {peer.missing()} is not there")
            else:
                self.peers.append(peer)
        self.packet_peers = packet_peers(directory, Path(arguments.build).resolve(), self.programs)
        self.service = measure.Service(self.programs)

    def note(self, text):
        self.results.notes.append(text)
        print(text, file=sys.stderr, flush=True)

    def attempt(self, peer, what, measurement):
        """Makes a measurement. A failure is noted, and the others go on."""
        print(f"{what}: {peer.name}", file=sys.stderr, flush=True)
        try:
            return measurement()
        except (measure.Failed, NotReady, OSError) as error:
            self.broken = True
            self.note(f"{peer.name}: {what} failed: {error}")
            return None

    def add(self, peer, values):
        for metric, value in (values or {}).items():
            self.results.add(peer.name, metric, value)

    def traffic(self, names):
        """Runs go round: each measures every peer once, beginning with another one each time."""
        running = []
        for peer in self.peers:
            started = self.attempt(peer, "start", lambda: (peer.start(self.service.port), True)[1])
            (running.append if started else lambda failed: failed.stop())(peer)
        traffic = measure.Traffic(self.programs, self.arguments.quick)
        try:
            for name in names:
                for run in range(self.arguments.runs):
                    first = run % len(running) if running else 0
                    for peer in running[first:] + running[:first]:
                        what = f"{name} {run + 1}/{self.arguments.runs}"
                        self.add(peer, self.attempt(peer, what, lambda: getattr(traffic, name)(peer)))
        finally:
            for peer in running:
                peer.stop()

    def packets(self):
        echo = PacketService(self.programs)
        seconds = 1 if self.arguments.quick else 4
        try:
            for run in range(self.arguments.runs):
                for peer in self.packet_peers:
                    if peer.name in ("relay", *self.arguments.peers):
                        what = f"packets {run + 1}/{self.arguments.runs}"
                        self.add(peer, self.attempt(peer, what, lambda: self.packets_of(peer, echo, seconds)))
        finally:
            echo.stop()

    def packets_of(self, peer, echo, seconds):
        peer.start(echo.port)
        try:
            return measure.packets(self.programs, peer, seconds)
        finally:
            peer.stop()

    def idle(self):
        for _ in range(min(self.arguments.runs, 3)):
            for peer in self.peers:
                if peer.encrypted:
                    quick = self.arguments.quick
                    memory = lambda: measure.idle_memory(self.programs, peer, self.service, quick)
                    self.add(peer, self.attempt(peer, "idle", memory))

    def held(self, ours):
        made = lambda: measure.held_at_once(self.programs, ours, self.service, self.descriptors)
        values = self.attempt(ours, "held", made)
        if values:
            self.add(ours, values[0])
            self.note(f"held at once, {ours.name}: {values[1]}")

    def library(self, ours):
        build, runs = Path(self.arguments.build).resolve(), max(self.arguments.runs, 3)
        made = lambda: measure.library_cost(self.programs, ours, self.service, build, runs)
        for values in self.attempt(ours, "library", made) or []:
            self.add(ours, values)

    def run(self):
        only = self.arguments.only
        names = [name for name in ("bulk", "requests", "latency") if name in only]
        if names:
            self.traffic(names)
        if "packets" in only:
            self.packets()
        if "idle" in only:
            self.idle()
        for ours in (peer for peer in self.peers if peer.name in report.OURS):
            if "held" in only:
                self.held(ours)
            if "library" in only and ours.name == "ours":
                self.library(ours)
        self.service.stop()


def main():
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory(prefix="rstream-bench-") as directory:
        os.chmod(directory, 0o711)  # sshd runs under another account when this does not
        bench = Bench(arguments, directory)
        try:
            bench.run()
        finally:
            for peer in bench.peers + bench.packet_peers:
                peer.stop()
    columns = [peer.name for peer in bench.peers]
    if "packets" in bench.results.values:
        columns.insert(0, "relay")
    print(report.table(bench.results, columns))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(bench.results.as_json(), indent=2) + os.linesep)
    return 1 if bench.broken else 0


if __name__ == "__main__":
    sys.exit(main())
