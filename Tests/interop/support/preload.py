# SPDX-License-Identifier: Apache-2.0
"""Small libraries in C that change what a program does, by LD_PRELOAD."""

import functools
import pathlib
import subprocess
import tempfile


@functools.cache
def preload(name):
    source = pathlib.Path(__file__).with_name(f"{name}.c")
    library = pathlib.Path(tempfile.mkdtemp(prefix=f"rstream-{name}-")) / f"{name}.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, source, "-ldl"], check=True)
    return library
