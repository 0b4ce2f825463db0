# SPDX-License-Identifier: Apache-2.0
"""Name servers: unbound and nsd from Debian, with a signed zone, and one of our own that lies, drops and truncates."""

import datetime
import socket
import struct
import subprocess
import threading

from support.closing import Closing
from support.proxies import Daemon

ZONE = """$ORIGIN {zone}.
$TTL 60
@ IN SOA ns.{zone}. root.{zone}. 1 3600 900 86400 60
@ IN NS ns.{zone}.
ns IN A 127.0.0.1
edge IN A 127.0.0.1
alias IN CNAME edge
far IN CNAME edge.elsewhere.test.
six IN AAAA ::1
"""


class SignedZone:
    """A zone file signed with a key of its own; with `spoil`, one of its signatures does not hold."""

    def __init__(self, directory, zone, spoil=False, records=()):
        self.name = zone
        directory.mkdir(parents=True, exist_ok=True)
        run = lambda *command: subprocess.run(  # noqa: E731
            command, cwd=directory, check=True, capture_output=True, text=True
        ).stdout
        plain = directory / f"{zone}.zone"
        plain.write_text(ZONE.format(zone=zone) + "".join(f"{record}\n" for record in records))
        key = run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", zone).strip()
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=2)
        run("ldns-signzone", "-e", until.strftime("%Y%m%d"), plain.name, key)
        self.file = directory / f"{plain.name}.signed"
        self.anchor = (directory / f"{key}.key").read_text()
        if spoil:
            # Another address than the one that was signed.
            text = self.file.read_text()
            assert "edge.%s.\t60\tIN\tA\t127.0.0.1" % zone in text
            self.file.write_text(text.replace(f"edge.{zone}.\t60\tIN\tA\t127.0.0.1", f"edge.{zone}.\t60\tIN\tA\t127.0.0.2"))


class NSD(Daemon):
    def __init__(self, directory, zones):
        folder = directory / "nsd"

        def start(port):
            lines = [
                "server:",
                f"  ip-address: 127.0.0.1@{port}",
                '  username: ""',
                f'  zonesdir: "{folder}"',
                '  database: ""',
                f'  pidfile: "{folder}/nsd.pid"',
                '  xfrdfile: ""',
                f'  zonelistfile: "{folder}/zone.list"',
                "  server-count: 1",
                "remote-control:",
                "  control-enable: no",
            ]
            for zone in zones:
                lines += ["zone:", f'  name: "{zone.name}"', f'  zonefile: "{zone.file}"']
            configuration = folder / "nsd.conf"
            configuration.write_text("\n".join(lines) + "\n")
            return ["/usr/sbin/nsd", "-d", "-c", configuration]

        super().__init__(folder, start)


class Unbound(Daemon):
    """A validating resolver: plain on `port`, and over TLS with that certificate when one is given."""

    def __init__(self, directory, nsd=None, zones=(), certificate=None, records=()):
        folder = directory / "unbound"

        def start(port):
            lines = [
                "server:",
                "  use-syslog: no",
                '  chroot: ""',
                '  username: ""',
                f'  directory: "{folder}"',
                '  pidfile: ""',
                "  do-daemonize: no",
                "  do-not-query-localhost: no",
                f"  interface: 127.0.0.1@{port}",
                "  access-control: 127.0.0.0/8 allow",
                '  module-config: "validator iterator"',
                "  trust-anchor-signaling: no",
                # Without this, names in .test do not exist.
                '  local-zone: "test." transparent',
            ]
            if certificate:
                lines += [
                    f"  tls-port: {port}",
                    f'  tls-service-pem: "{certificate[0]}"',
                    f'  tls-service-key: "{certificate[1]}"',
                ]
            for zone in zones:
                anchor = folder / f"{zone.name}.anchor"
                anchor.write_text(zone.anchor)
                lines.append(f'  trust-anchor-file: "{anchor}"')
            lines += [f"  local-data: '{record}'" for record in records]
            lines += ["remote-control:", "  control-enable: no"]
            for zone in zones:
                lines += ["stub-zone:", f'  name: "{zone.name}"', f"  stub-addr: 127.0.0.1@{nsd.port}"]
            configuration = folder / "unbound.conf"
            configuration.write_text("\n".join(lines) + "\n")
            return ["/usr/sbin/unbound", "-d", "-c", configuration]

        super().__init__(folder, start)


def name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.strip(".").split(".")) + b"\0"


class Question:
    """What a client asked, and answers to it."""

    def __init__(self, message, transport):
        self.message = message
        self.transport = transport
        labels, position = [], 12
        while message[position]:
            labels.append(message[position + 1 : position + 1 + message[position]].decode())
            position += 1 + message[position]
        self.name = ".".join(labels)
        self.type = struct.unpack(">H", message[position + 1 : position + 3])[0]
        self._section = message[12 : position + 5]

    def answer(self, *records, code=0, flags=0x8180, identifier=None, question=None):
        """Records are (owner, type, data)."""
        identifier = self.message[:2] if identifier is None else identifier
        section = self._section if question is None else name(question) + self._section[-4:]
        message = identifier + struct.pack(">HHHHH", flags | code, 1, len(records), 0, 0) + section
        for owner, kind, data in records:
            message += name(owner) + struct.pack(">HHIH", kind, 1, 60, len(data)) + data
        return message

    def address(self, literal="127.0.0.1", **options):
        records = [(self.name, 1, socket.inet_aton(literal))] if self.type == 1 else []
        return self.answer(*records, **options)


class FakeNameServer(Closing):
    """Answers on UDP and TCP with what `handler(question)` returns: bytes, a list of messages, or nothing."""

    def __init__(self, handler, address=("127.0.0.1", 0)):
        self.questions = []
        self.peers = set()
        self._handler = handler
        for _ in range(20):
            self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._udp.bind(address)
            self.port = self._udp.getsockname()[1]
            try:
                self._tcp = socket.create_server((address[0], self.port))
                break
            except OSError:
                self._udp.close()
        self.address = f"{address[0]}:{self.port}"
        threading.Thread(target=self._serve_udp, daemon=True).start()
        threading.Thread(target=self._serve_tcp, daemon=True).start()

    def _messages(self, message, transport):
        question = Question(message, transport)
        self.questions.append(question)
        answer = self._handler(question)
        return [answer] if isinstance(answer, bytes) else list(answer or [])

    def _serve_udp(self):
        while True:
            try:
                message, peer = self._udp.recvfrom(4096)
            except OSError:
                return
            if peer is None:
                return
            self.peers.add(peer[0])
            for answer in self._messages(message, "udp"):
                self._udp.sendto(answer, peer)

    def _serve_tcp(self):
        while True:
            try:
                sock, _ = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_connection, args=(sock,), daemon=True).start()

    def _serve_connection(self, sock):
        with sock:
            try:
                size = struct.unpack(">H", sock.recv(2, socket.MSG_WAITALL))[0]
                for answer in self._messages(sock.recv(size, socket.MSG_WAITALL), "tcp"):
                    sock.sendall(struct.pack(">H", len(answer)) + answer)
                sock.recv(1)
            except (OSError, struct.error):
                pass

    def close(self):
        for sock in (self._udp, self._tcp):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
