# SPDX-License-Identifier: Apache-2.0
"""A published quic tunnel whose service is in the agent's own process: aioquic over the packets of librstream's Python
package, and aioquic as the consumer.
"""

import os
import pathlib
import subprocess
import sys

import pytest

from support import quic
from support.certificates import self_signed
from support.process import build_product, clean_environment

PACKAGE = pathlib.Path(__file__).parents[2] / "bindings/python/src"
PROGRAM = pathlib.Path(__file__).with_name("support") / "quic_inside.py"
ALPN = "rstream-quic-inside"


@pytest.mark.parametrize("transport", ["tls", "quic"])
def test_a_service_inside_of_the_agent(engine, tmp_path, transport):
    environment = clean_environment(
        HOME=tmp_path, PYTHONPATH=PACKAGE, RSTREAM_LIBRARY=os.path.realpath(build_product("librstream.so.1"))
    )
    command = [sys.executable, PROGRAM, engine.address, engine.ca_file, transport, ALPN, *self_signed(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as program:
        try:
            host = program.stdout.readline().strip()
            assert host, program.stderr.read()
            client = quic.Client(engine.port, engine.ca_file, host, [ALPN])
            for _ in range(3):
                connection = client.connect()
                stream = connection.open_stream()
                payload = os.urandom(200_000)
                stream.write(payload, end=True)
                assert stream.read_all() == payload
                connection.send_datagram(b"dg-quic")
                assert connection.receive_datagram(5) == b"dg-quic"
            client.close()
            program.stdin.close()
            assert program.wait(15) == 0, program.stderr.read()
        finally:
            program.kill()
