# SPDX-License-Identifier: Apache-2.0
"""A tunnel of somebody else, which what others do must not disturb."""

import contextlib

from support.fake_client import echo


@contextlib.contextmanager
def bystander(engine, name):
    """A tunnel of somebody else: must work before, during (call the yielded function) and after."""
    with engine.fake_client() as client:
        control = client.control(liveness=60000)
        control.open_tunnel(name=f"{name}-bystander", publish=False)
        control.serve(echo)

        def check(timeout=5.0):
            with client.dial(f"{name}-bystander", timeout=timeout) as stream:
                stream.write(b"still fine?")
                assert stream.read_exactly(11, timeout=timeout) == b"still fine?"

        check()
        yield check
        check()
        assert control.is_open
