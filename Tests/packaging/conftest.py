# SPDX-License-Identifier: Apache-2.0
"""What the packaging tests share: where things are, and an installation into a prefix of its own."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2]


def run(*command, **options):
    """Runs a command and returns what it printed; what it wrote goes into the test's failure when it fails."""
    result = subprocess.run([str(word) for word in command], text=True, capture_output=True, timeout=300, **options)
    if result.returncode != 0:
        raise AssertionError(f"{result.args} exited with {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def compiler(language, family):
    """gcc, or the clang that belongs to the Swift toolchain."""
    if family == "gcc":
        return "g++" if language == "c++" else "gcc"
    tools = Path(shutil.which("swift")).resolve().parent
    return tools / ("clang++" if language == "c++" else "clang")


@pytest.fixture(scope="session")
def build_dir():
    return Path(os.environ["RSTREAM_BUILD_DIR"])


@pytest.fixture(scope="session")
def library(build_dir):
    return build_dir / "librstream.so.1"


@pytest.fixture(scope="session")
def prefix(build_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prefix")
    run("cmake", "--install", build_dir, "--prefix", folder)
    return folder


@pytest.fixture(scope="session")
def pkg_config(prefix):
    """Asks pkg-config about the installed library."""
    [folder] = [file.parent for file in prefix.rglob("librstream.pc")]
    environment = os.environ | {"PKG_CONFIG_PATH": str(folder)}
    return lambda *words: run("pkg-config", *words, "librstream", env=environment).split()
