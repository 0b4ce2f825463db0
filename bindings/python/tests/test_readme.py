# SPDX-License-Identifier: Apache-2.0
"""The program in bindings/README.md does what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import librstream

README = Path(__file__).parents[2] / "README.md"


def test_the_program_runs_as_printed(tmp_path: Path) -> None:
    section = README.read_text().partition("## Python: `python/`")[2].partition("\n## ")[0]
    programs = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(programs) == 1
    environment = os.environ | {"RSTREAM_LIBRARY": librstream.library_path(), "HOME": str(tmp_path)}
    command = [sys.executable, "-W", "always::ResourceWarning", "-c", programs[0]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello tunnel\n", "")
