# SPDX-License-Identifier: Apache-2.0
"""Our client as the tests of single situations start and judge it."""

from support.ctl import unique


def start_agent(forward, fake_engine, arguments=(), **options):
    """Our client as far as an open control channel that was answered as `options` say: (process, control)."""
    process = forward(fake_engine, "127.0.0.1:9", unique("agent"), ["--no-publish", *arguments], online=False)
    return process, fake_engine.accept_control(**options)


def fails_with(process, code, timeout=10.0):
    """The agent gives up, says why, and exits with a failure."""
    line = process.wait_line(timeout, status="offline")
    assert line["code"] == code, line
    process.judge(process.wait(), expect=(1, 4, 5))
