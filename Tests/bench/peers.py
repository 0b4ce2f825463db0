# SPDX-License-Identifier: Apache-2.0
"""The tunnels that are compared. Each leads from a published port of its server to the local service:

consumer -> published port of the server -> encrypted hop -> client -> local service
"""

import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

START_SECONDS = 20
"""How long a program may take until it is ready."""

PORT_ATTEMPTS = 5
"""How often a program that cannot pick a free port itself is given another one."""


class NotReady(Exception):
    """A program did not come up."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_listening(port):
    """Asks the kernel's table instead of connecting: a connection would be work for the program."""
    wanted = f"0100007F:{port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == wanted and fields[3] == "0A":
            return True
    return False


class Program:
    """A running program whose output goes to a file, so that nobody has to read it while something is measured."""

    def __init__(self, arguments, output, **options):
        self.output = Path(output)
        self.name = os.path.basename(arguments[0])
        with open(self.output, "wb") as file:
            self.process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, **options
            )

    def wait_for(self, ready):
        """Calls `ready` with the output so far until it returns something; fails when the program ends or is too slow."""
        limit = time.monotonic() + START_SECONDS
        while True:
            text = self.output.read_text(errors="replace")
            found = ready(text)
            if found:
                return found
            if self.process.poll() is not None or time.monotonic() > limit:
                raise NotReady(f"{self.name} did not get ready (exit code {self.process.poll()}):\n{text[-2000:]}")
            time.sleep(0.01)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()

    def pids(self):
        """The program and all its descendants."""
        children = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, rest = int(stat.parent.name), stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(rest[1]), []).append(pid)
        found, left = [], [self.process.pid]
        while left:
            pid = left.pop()
            found.append(pid)
            left += children.get(pid, [])
        return found

    def rss_kb(self):
        total = 0
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1])
        return total

    def cpu_seconds(self):
        ticks = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


class PacketService:
    """An echo for packets, or a relay to another port."""

    def __init__(self, programs, target=0):
        command = [str(Path(programs) / "relay"), str(target)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Peer:
    """A way from a consumer to the local service. `port` is where consumers connect once start() has returned."""

    name = ""
    encrypted = True
    server = None
    client = None

    def __init__(self, directory):
        self.directory = Path(directory)
        self.port = 0

    def missing(self):
        """What keeps this peer from running here, or None."""
        return None

    def start(self, service_port):
        raise NotImplementedError

    def stop(self):
        for program in (self.client, self.server):
            if program:
                program.stop()
        self.client = self.server = None


class Direct(Peer):
    name = "direct"
    encrypted = False

    def start(self, service_port):
        self.port = service_port


class SSH(Peer):
    """OpenSSH's -R, with an sshd of its own under an unprivileged account and its preferred cipher."""

    name = "ssh"

    def missing(self):
        return None if Path("/usr/sbin/sshd").exists() and shutil.which("ssh") else "OpenSSH (ssh and sshd)"

    def _account(self):
        """sshd run by root needs a directory in /run that only the system's own service makes: leave root."""
        if os.geteuid() != 0:
            return {}
        for path in (self.directory, *self.directory.iterdir()):
            shutil.chown(path, "nobody", "nogroup")
        return {"user": "nobody", "group": "nogroup", "extra_groups": []}

    def _start_server(self, account):
        for attempt in range(PORT_ATTEMPTS):
            port = free_port()
            lines = [
                f"ListenAddress 127.0.0.1:{port}",
                f"HostKey {self.directory}/host",
                f"AuthorizedKeysFile {self.directory}/user.pub",
                "PidFile none",
                "StrictModes no",
                "UsePAM yes",  # without it sshd cannot read whether the account is locked and takes it for locked
                "PasswordAuthentication no",
                "KbdInteractiveAuthentication no",
                "LogLevel ERROR",
            ]
            (self.directory / "sshd_config").write_text("\n".join(lines) + "\n")
            command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(self.directory / "sshd_config")]
            self.server = Program(command, self.directory / "sshd.log", **account)
            try:
                self.server.wait_for(lambda text: is_listening(port))
                return port
            except NotReady:
                self.server.stop()
                if attempt == PORT_ATTEMPTS - 1:
                    raise
        raise NotReady("sshd: no free port")

    def start(self, service_port):
        self.directory.chmod(0o755)
        for key in ("host", "user"):
            if not (self.directory / key).exists():
                subprocess.run(
                    ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key, "-f", str(self.directory / key)], check=True
                )
        account = self._account()
        port = self._start_server(account)
        known = (self.directory / "host.pub").read_text()
        (self.directory / "known_hosts").write_text(f"[127.0.0.1]:{port} {known}")
        user = account.get("user") or os.environ.get("USER") or str(os.geteuid())
        options = ["IdentitiesOnly=yes", "BatchMode=yes", "ExitOnForwardFailure=yes", "StrictHostKeyChecking=yes"]
        options += [f"UserKnownHostsFile={self.directory}/known_hosts", "GlobalKnownHostsFile=none", "LogLevel=INFO"]
        command = ["ssh", "-F", "none", "-N", "-i", str(self.directory / "user"), "-p", str(port), "-l", user]
        command += [f"-o{option}" for option in options] + ["-R", f"127.0.0.1:0:127.0.0.1:{service_port}", "127.0.0.1"]
        self.client = Program(command, self.directory / "ssh.log", **account)
        self.port = int(self.client.wait_for(lambda text: re.search(r"Allocated port (\d+)", text)).group(1))


class Stunnel(Peer):
    """A pair of stunnel4: plain to TLS 1.3 on the published side, TLS to plain on the service's side."""

    name = "stunnel"

    def missing(self):
        return None if shutil.which("stunnel4") and shutil.which("openssl") else "stunnel4 (and openssl)"

    def _certificate(self):
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        command += ["-subj", "/CN=localhost", "-keyout", str(self.directory / "key.pem")]
        subprocess.run(command + ["-out", str(self.directory / "cert.pem")], check=True, capture_output=True)

    def _start_one(self, name, service):
        for attempt in range(PORT_ATTEMPTS):
            port = free_port()
            lines = ["foreground = yes", "pid =", "debug = warning", "sslVersion = TLSv1.3", f"[{name}]"]
            lines += [f"accept = 127.0.0.1:{port}", *service]
            config = self.directory / f"{name}.conf"
            config.write_text("\n".join(lines) + "\n")
            program = Program(["stunnel4", str(config)], self.directory / f"{name}.log")
            try:
                program.wait_for(lambda text: is_listening(port))
                return program, port
            except NotReady:
                program.stop()
                if attempt == PORT_ATTEMPTS - 1:
                    raise
        raise NotReady("stunnel4: no free port")

    def start(self, service_port):
        if not (self.directory / "cert.pem").exists():
            self._certificate()
        certificate, key = self.directory / "cert.pem", self.directory / "key.pem"
        self.client, hop = self._start_one(
            "service", [f"connect = 127.0.0.1:{service_port}", f"cert = {certificate}", f"key = {key}"]
        )
        self.server, self.port = self._start_one(
            "published", ["client = yes", f"connect = 127.0.0.1:{hop}", f"CAfile = {certificate}", "verifyChain = yes"]
        )


class Ours(Peer):
    """rstreamctl engine and rstreamctl forward, over TLS, with a published TCP tunnel."""

    name = "ours"
    transport = "tls"
    ports_tried = 20

    def __init__(self, directory, build):
        super().__init__(directory)
        self.rstreamctl = Path(build) / "rstreamctl"
        self.engine = {}

    def missing(self):
        return None if self.rstreamctl.exists() else f"{self.rstreamctl} (run ./dev build)"

    def _first_event(self, program, wanted):
        def find(text):
            for line in text.splitlines():
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                if isinstance(event, dict) and wanted(event):
                    return event
            return None

        return program.wait_for(find)

    def _start_engine(self, *options):
        command = [str(self.rstreamctl), "engine", "--dev", "--json", "--state-dir", str(self.directory / "state")]
        command += ["--listen", "127.0.0.1:0", *options]
        self.server = Program(command, self.directory / "engine.log")
        self.engine = self._first_event(self.server, lambda event: event.get("event") == "listening")

    def _start_forward(self, service_port, *options):
        """Returns what the tunnel is known by."""
        command = [str(self.rstreamctl), "forward", f"127.0.0.1:{service_port}", "--json", *self._client_options(), *options]
        self.client = Program(command, self.directory / "forward.log")
        return self._first_event(self.client, lambda event: event.get("status") == "online")

    def _client_options(self):
        options = ["--engine", self.engine["address"], "--ca-file", self.engine["ca_file"]]
        return options + ["--config-set", f"transport.mode={self.transport}"]

    def start(self, service_port):
        first = free_port()
        last = min(first + self.ports_tried, 65535)
        self._start_engine("--tcp-ports", f"{first}-{last}")
        self.port = int(self._start_forward(service_port, "--protocol", "tcp")["port"])


class OursQUIC(Ours):
    """The same, with all streams in one QUIC connection."""

    name = "quic"
    transport = "quic"


class Relay(Peer):
    """A program that passes packets on: what a tunnel for packets is held against."""

    name = "relay"
    encrypted = False

    def __init__(self, directory, programs):
        super().__init__(directory)
        self.programs = Path(programs)

    def start(self, service_port):
        self.server = PacketService(self.programs, service_port)
        self.port = self.server.port


class OursPackets(Ours):
    """A private datagram tunnel: consumer -> rstreamctl dial --udp -> engine -> rstreamctl forward --udp -> service."""

    tunnel = "packets"
    dialer = None

    def start(self, service_port):
        self._start_engine()
        self._start_forward(service_port, "--udp", "--name", self.tunnel)
        command = [str(self.rstreamctl), "dial", self.tunnel, "--udp", "--listen", "127.0.0.1:0", "--json"]
        self.dialer = Program(command + self._client_options(), self.directory / "dial.log")
        listening = self._first_event(self.dialer, lambda event: event.get("event") == "listening")
        self.port = int(listening["address"].rpartition(":")[2])

    def stop(self):
        if self.dialer:
            self.dialer.stop()
        self.dialer = None
        super().stop()


class OursPacketsQUIC(OursPackets):
    name = "quic"
    transport = "quic"


def all_peers(directory, build):
    """The peers in the order of the table, each with an empty directory of its own."""
    made = []
    for kind in (Direct, SSH, Stunnel, Ours, OursQUIC):
        own = Path(directory) / kind.name
        own.mkdir()
        made.append(kind(own, build) if issubclass(kind, Ours) else kind(own))
    return made


def packet_peers(directory, build, programs):
    """The ways for packets, each with an empty directory of its own."""
    made = []
    for kind in (Relay, OursPackets, OursPacketsQUIC):
        own = Path(directory) / f"{kind.name}-packets"
        own.mkdir()
        made.append(kind(own, programs if kind is Relay else build))
    return made
