# SPDX-License-Identifier: Apache-2.0
"""The programs in C and C++ of README and bindings/README, compiled and used as they stand there."""

import http.server
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading

import pytest
from conftest import SOURCE, compiler, run

README = (SOURCE / "README.md").read_text()
BINDINGS = (SOURCE / "bindings/README.md").read_text()


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"published"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def web_server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def start():
    """Starts a program and stops it at the end."""
    processes = []

    def starter(*command, **options):
        process = subprocess.Popen([str(word) for word in command], text=True, **options)
        processes.append(process)
        return process

    yield starter
    for process in reversed(processes):
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()


@pytest.fixture
def engine(build_dir, tmp_path, start):
    process = start(
        *[build_dir / "rstreamctl", "engine", "--dev", "--json", "--listen", "127.0.0.1:0"],
        *["--state-dir", tmp_path / "state"],
        stdout=subprocess.PIPE,
    )
    return json.loads(process.stdout.readline())


@pytest.fixture
def environment(prefix):
    [pkg_config] = [file.parent for file in prefix.rglob("librstream.pc")]
    [library] = [file.parent for file in prefix.rglob("librstream.so")]
    return os.environ | {"PKG_CONFIG_PATH": str(pkg_config), "LD_LIBRARY_PATH": str(library)}


def test_program_publishes_a_web_server(tmp_path, environment, engine, web_server, start):
    [program] = re.findall(r"^```c\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    [compilation] = re.findall(r"^    (cc publish\.c .*)$", README, re.MULTILINE)
    (tmp_path / "publish.c").write_text(program)
    run("sh", "-c", f"{compilation} -Wall -Wextra -Werror", cwd=tmp_path, env=environment)

    environment |= {"RSTREAM_ENGINE": engine["address"], "RSTREAM_CA_FILE": engine["ca_file"]}
    publish = start(tmp_path / "publish", web_server, env=environment, stderr=subprocess.PIPE)
    address = publish.stderr.readline().strip()
    host = re.fullmatch(rf"https://([^:/]+):{engine['port']}", address)[1]

    context = ssl.create_default_context(cafile=engine["ca_file"])
    with socket.create_connection(("127.0.0.1", engine["port"]), 10) as plain:
        with context.wrap_socket(plain, server_hostname=host) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            response = b"".join(iter(lambda: connection.recv(4096), b""))
    assert response.startswith(b"HTTP/1.1 200 ") and response.endswith(b"published")


def test_program_is_short():
    [program] = re.findall(r"^```c\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert len(program.splitlines()) <= 30


@pytest.mark.parametrize("family", ["gcc", "clang"])
def test_cpp_program_greets(tmp_path, environment, engine, build_dir, start, family):
    [program] = re.findall(r"^```cpp\n(.*?)^```$", BINDINGS, re.MULTILINE | re.DOTALL)
    [compilation] = re.findall(r"^    c\+\+ (.*greeter\.cpp .*)$", BINDINGS, re.MULTILINE)
    (tmp_path / "greeter.cpp").write_text(program)
    command = f"'{compiler('c++', family)}' -Wall -Wextra -Wpedantic -Werror {compilation}"
    run("sh", "-c", command, cwd=tmp_path, env=environment)

    environment |= {"RSTREAM_ENGINE": engine["address"], "RSTREAM_CA_FILE": engine["ca_file"]}
    greeter = start(tmp_path / "greeter", env=environment, stdout=subprocess.PIPE)
    assert greeter.stdout.readline() == "greeter is online\n"
    dial = [build_dir / "rstreamctl", "dial", "greeter"]
    answer = subprocess.run(dial, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert answer.stdout == "hello\n", answer
