# SPDX-License-Identifier: Apache-2.0
"""Foreign programs that are spoken with like people do."""

import os
import re
import select
import subprocess
import time


class Talker:
    """Talks on its standard input and output."""

    def __init__(self, *command):
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        )
        self.output = b""

    def wait_for(self, pattern, timeout=15):
        deadline = time.monotonic() + timeout
        while not (found := re.search(pattern, self.output)):
            left = deadline - time.monotonic()
            readable = left > 0 and select.select([self.process.stdout], [], [], left)[0]
            chunk = os.read(self.process.stdout.fileno(), 65_536) if readable else b""
            assert chunk, f"no {pattern!r} in:\n{self.output.decode(errors='replace')}"
            self.output += chunk
        self.output = self.output[found.end() :]
        return found

    def say(self, line):
        self.process.stdin.write(line)

    def end(self):
        self.process.kill()
        self.process.wait(10)
        self.process.stdin.close()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class OpenSSL(Talker):
    def __init__(self, *arguments):
        super().__init__("openssl", *arguments)
