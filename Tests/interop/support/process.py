# SPDX-License-Identifier: Apache-2.0
"""Programs under test: started with their lines collected, stopped with their exit code and log judged."""

import collections
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

_REPOSITORY = pathlib.Path(__file__).resolve().parents[3]

# What a sanitizer, the Swift runtime or the C library writes when a program broke.
_CRASH = re.compile(
    r"AddressSanitizer|ThreadSanitizer|LeakSanitizer|runtime error:|Fatal error|stack smashing|"
    r"double free|malloc\(\)|free\(\)|corrupted|Segmentation fault|Assertion .* failed|Current stack trace"
)


def build_directory():
    return pathlib.Path(os.environ.get("RSTREAM_BUILD_DIR") or _REPOSITORY / "build")


def build_product(name):
    path = build_directory() / name
    assert path.exists(), f"{path} is missing: build first (./dev build), or set RSTREAM_BUILD_DIR"
    return path


def clean_environment(**extra):
    """The environment without rstream's variables, which would change what is tested."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RSTREAM_")}
    environment["LD_LIBRARY_PATH"] = f"{build_directory()}:{environment.get('LD_LIBRARY_PATH', '')}".rstrip(":")
    # Sanitizer builds keep freed memory back; with little of it the tests of bounded memory hold there as well.
    environment["ASAN_OPTIONS"] = f"quarantine_size_mb=4:{environment.get('ASAN_OPTIONS', '')}".rstrip(":")
    environment.update({name: str(value) for name, value in extra.items()})
    return environment


class Program:
    """A child process. With json_lines its standard output is parsed line by line."""

    def __init__(self, command, log_file, json_lines=True, environment=None, stdin=subprocess.DEVNULL):
        self.command = [str(part) for part in command]
        self.log_file = pathlib.Path(log_file)
        self.lines = []
        self._waiting = collections.deque()
        self._condition = threading.Condition()
        self._ended = False
        self.judged = False
        self._log = open(self.log_file, "wb")
        self._process = subprocess.Popen(
            self.command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment or clean_environment(),
            cwd=self.log_file.parent,
        )
        self.pid = self._process.pid
        self.stdin = self._process.stdin
        self.stdout = self._process.stdout
        self._reader = None
        if json_lines:
            self._reader = threading.Thread(target=self._read_lines, daemon=True)
            self._reader.start()

    def _read_lines(self):
        for line in self._process.stdout:
            try:
                value = json.loads(line)
            except ValueError:
                value = {"not_json": line.decode(errors="replace")}
            with self._condition:
                self.lines.append(value)
                self._waiting.append(value)
                self._condition.notify_all()
        with self._condition:
            self._ended = True
            self._condition.notify_all()

    def wait_line(self, timeout=15.0, **fields):
        """Takes the first line in which every field has the given value; a value may be a predicate."""
        deadline = time.monotonic() + timeout
        with self._condition:
            while True:
                for line in self._waiting:
                    if all(name in line and _matches(line[name], value) for name, value in fields.items()):
                        self._waiting.remove(line)
                        return line
                remaining = deadline - time.monotonic()
                if self._ended or remaining <= 0:
                    why = "the program ended" if self._ended else f"nothing within {timeout} s"
                    raise AssertionError(f"no line with {fields}: {why}\n{self.describe()}")
                self._condition.wait(remaining)

    def lines_with(self, **fields):
        with self._condition:
            return [
                line
                for line in self.lines
                if all(name in line and _matches(line[name], value) for name, value in fields.items())
            ]

    @property
    def is_running(self):
        return self._process.poll() is None

    def send_signal(self, number):
        self._process.send_signal(number)

    def wait(self, timeout=15.0):
        """Waits for the end and returns the exit code."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the program did not end within {timeout} s\n{self.describe()}") from None
        if self._reader:
            self._reader.join(5)
        self._log.close()
        return code

    def end(self, number=signal.SIGTERM, timeout=15.0, expect=0):
        """Stops the program, and fails unless it ends as expected without a trace of a crash."""
        if self.is_running:
            self.send_signal(number)
        try:
            code = self.wait(timeout)
        except AssertionError:
            self.kill()
            raise
        self.judge(code, expect)
        return code

    def judge(self, code, expect=0):
        self.judged = True
        expected = expect if isinstance(expect, (tuple, list, set)) else (expect,)
        assert code in expected, f"exit code {code}, expected {expect}\n{self.describe()}"
        crash = _CRASH.search(self.log)
        assert not crash, f"{crash.group()!r} in the log\n{self.describe()}"

    def kill(self):
        self.judged = True
        if self.is_running:
            self._process.kill()
        self._process.wait(10)
        self._log.close()

    @property
    def log(self):
        return self.log_file.read_text(errors="replace")

    def status(self, field):
        """A number from /proc/<pid>/status, e.g. VmRSS in kB."""
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+)", text, re.MULTILINE).group(1))

    @property
    def resident(self):
        """Resident memory in bytes."""
        return self.status("VmRSS") * 1024

    @property
    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def sockets(self, kind):
        """Its sockets of a kind ("tcp", "udp", with "6" behind it for IPv6): the remote port of each, 0 where there is none."""
        links = []
        for number in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                links.append(os.readlink(f"/proc/{self.pid}/fd/{number}"))
            except FileNotFoundError:
                pass  # closed meanwhile
        rows = [line.split() for line in pathlib.Path(f"/proc/net/{kind}").read_text().splitlines()[1:]]
        return [int(row[2].rsplit(":", 1)[1], 16) for row in rows if f"socket:[{row[9]}]" in links]

    @property
    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def describe(self):
        tail = "\n".join(self.log.splitlines()[-40:])
        return f"$ {' '.join(self.command)}\nlines: {self.lines[-20:]}\nlog:\n{tail}"


def _matches(value, expected):
    return expected(value) if callable(expected) else value == expected
