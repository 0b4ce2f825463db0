# SPDX-License-Identifier: Apache-2.0
"""The wheels, installed into fresh environments of the running Python."""

import email
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from librstream import __version__

PACKAGE = Path(__file__).resolve().parents[2]
REPOSITORY = PACKAGE.parents[1]
BUILD = Path(os.environ.get("RSTREAM_BUILD_DIR", REPOSITORY / "build"))
SECONDS = 60

PROGRAM = """
import asyncio
import librstream

async def main():
    async with librstream.Engine() as engine, engine.client() as client, await client.connect() as control:
        tunnel = await control.create_tunnel(name="echo", publish=False)
        async with await client.dial("echo") as near, await tunnel.accept() as far:
            near.write(b"hello\\n")
            far.write(await far.readline())
            print((await near.readline()).decode().strip(), librstream.library_path())
    maps = open("/proc/self/maps").read().split()
    print(*sorted({path for path in maps if ".so" in path}))

asyncio.run(main())
"""


class Environment:
    """A fresh virtual environment with one wheel in it."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        venv.create(folder, symlinks=True)
        self.python = folder / "bin" / "python"
        self.site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(self.python)]
        subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)], check=True, timeout=SECONDS)

    def run(self, program: str, prefix: Sequence[str] = (), **variables: str) -> subprocess.CompletedProcess[str]:
        left_out = ("RSTREAM_", "PYTHON", "LD_", "SSL_CERT")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        return subprocess.run(
            [*prefix, str(self.python), "-c", program],
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            cwd=self.site,
        )


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    output = tmp_path_factory.mktemp("wheels")
    script, library = str(PACKAGE / "build_wheels.py"), str(BUILD / "librstream.so.1")
    command = [sys.executable, script, "--library", library, "--output", str(output)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=SECONDS)
    pure, bundled = map(Path, done.stdout.split())
    return {"pure": pure, "bundled": bundled}


@pytest.fixture(scope="session")
def pure(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return Environment(tmp_path_factory.mktemp("pure"), wheels["pure"])


@pytest.fixture(scope="session")
def bundled(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return Environment(tmp_path_factory.mktemp("bundled"), wheels["bundled"])


def test_names(wheels: dict[str, Path]) -> None:
    assert wheels["pure"].name == f"librstream-{__version__}-py3-none-any.whl"
    assert wheels["bundled"].name == f"librstream-{__version__}-py3-none-manylinux_2_36_{os.uname().machine}.whl"


def test_the_version_is_the_headers() -> None:
    header = (REPOSITORY / "include" / "rstream" / "version.h").read_text()
    assert f'#define RSTREAM_VERSION_STRING "{__version__}"\n' in header


def test_contents(wheels: dict[str, Path]) -> None:
    sources = {path.relative_to(PACKAGE / "src").as_posix() for path in (PACKAGE / "src").rglob("*.py")}
    sources.add("librstream/py.typed")
    names = {}
    for kind, wheel in wheels.items():
        with zipfile.ZipFile(wheel) as archive:
            members = {name for name in archive.namelist() if not name.endswith("/")}
            info = f"librstream-{__version__}.dist-info/"
            metadata = email.message_from_bytes(archive.read(info + "METADATA"))
            entry_points = archive.read(info + "entry_points.txt").decode()
        assert members >= sources
        assert metadata["Version"] == __version__ and metadata["Requires-Python"] == ">=3.11"
        assert set(metadata.get_all("Provides-Extra", [])) >= {"asgi", "wsgi"}
        assert not [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
        assert "librstream = librstream.pytest_plugin" in entry_points
        licences = {Path(name).name for name in members if "LICENSE" in name}
        assert "LICENSE" in licences
        if kind == "bundled":
            assert {"LICENSE.libssl3", "LICENSE.libuv1"} <= licences or not Path("/etc/debian_version").exists()
        names[kind] = {name for name in members - sources if ".dist-info/" not in name}
    assert names["pure"] == set()
    assert "librstream/_lib/librstream.so.1" in names["bundled"]


def test_the_bundled_one_needs_no_other_library(bundled: Environment) -> None:
    done = bundled.run(PROGRAM)
    assert done.returncode == 0, done.stderr
    answer, maps = done.stdout.splitlines()
    assert answer == f"hello {bundled.site}/librstream/_lib/librstream.so.1"
    carried = [path for path in maps.split() if path.startswith(str(bundled.site / "librstream"))]
    assert any("librstream.libs/libssl" in path for path in carried)
    for name in ("libuv", "libjansson", "libyaml", "libhttp_parser", "libwslay", "librstream.so"):
        assert not [path for path in maps.split() if f"/{name}" in path and path not in carried]


def test_the_bundled_one_trusts_the_system(bundled: Environment) -> None:
    program = """
import asyncio, os, pathlib
import librstream

async def main():
    async with librstream.Engine() as engine:
        os.environ["SSL_CERT_FILE"] = engine.ca_file
        async with librstream.Client(engine=engine.address) as client, await client.connect():
            print("trusted")

asyncio.run(main())
"""
    done = bundled.run(program)
    assert done.stdout == "trusted\n", done.stderr


@pytest.mark.parametrize(
    "place", ["/usr/lib/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/ca-bundle.pem"]
)
def test_the_bundled_one_finds_the_authorities_of_distributions(bundled: Environment, place: str) -> None:
    """Debian's place, which its OpenSSL knows, and those where there is no such folder."""
    program = f"""
import asyncio, pathlib, shutil
import librstream

async def connect(engine):
    async with librstream.Client(engine=engine.address) as client, await client.connect():
        print("trusted")

async def main():
    async with librstream.Engine() as engine:
        try:
            await connect(engine)
        except librstream.TLSError:
            print("not trusted")
        place = pathlib.Path({place!r})
        place.parent.mkdir(exist_ok=True)
        shutil.copy(engine.ca_file, place)
        await connect(engine)

asyncio.run(main())
"""
    mounts = " && ".join(f"mount -t tmpfs none {path}" for path in ("/usr/lib/ssl", "/etc/ssl") if Path(path).is_dir())
    inside = ["unshare", "--map-root-user", "--mount", "sh", "-c", mounts + ' && exec "$@"', "sh"]
    if subprocess.run([*inside, "true"], capture_output=True).returncode != 0:
        pytest.skip("there are no mount namespaces here")
    done = bundled.run(program, inside)
    assert done.stdout == "not trusted\ntrusted\n", done.stderr


def test_the_pure_one_finds_an_installed_library(pure: Environment) -> None:
    done = pure.run(PROGRAM, LD_LIBRARY_PATH=str(BUILD))
    assert done.returncode == 0, done.stderr
    answer, maps = done.stdout.splitlines()
    assert answer == "hello librstream.so.1"
    assert str((BUILD / "librstream.so.1").resolve()) in maps.split()


def test_the_pure_one_uses_the_library_that_is_named(pure: Environment) -> None:
    done = pure.run(PROGRAM, RSTREAM_LIBRARY=str(BUILD / "librstream.so.1"))
    assert done.stdout.splitlines()[0] == f"hello {BUILD}/librstream.so.1", done.stderr


def test_the_pure_one_says_what_is_missing(pure: Environment) -> None:
    done = pure.run("import librstream; librstream.library_version()")
    if done.returncode == 0:
        pytest.skip("librstream is installed on this machine")
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("librstream.errors.LibraryError: cannot load librstream.so.1")
    assert "install librstream" in last and "RSTREAM_LIBRARY" in last
