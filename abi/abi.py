#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the headers against the ABI that the files of this folder promise. docs/abi.md tells why and how.

The library is written in Swift, and its debug information has no C types. So the types come from the "shape": a shared
object made of the headers alone, which defines every function of them, and which abidw and abidiff read.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT / "docs/reference"))

from headers import INCLUDE, read_headers  # noqa: E402

SYMBOLS = HERE / "symbols"
NAMES = HERE / "names"
DUMP = HERE / "librstream.abi"
DEBIAN = ROOT / "debian/librstream1.symbols"
UPDATE = "./dev abi --update adds new ones."
SYMBOLS_HEADING = f"# Every function of the library and the version that has introduced it. {UPDATE}\n"
NAMES_HEADING = f"# Every setting, property, feature and error, its type or number, and since which version. {UPDATE}\n"


def version(include=INCLUDE):
    return re.search(r'RSTREAM_VERSION_STRING "([^"]+)"', (include / "rstream/version.h").read_text())[1]


def read_list(file):
    """What a file lists, and since which version each is there."""
    if not file.exists():
        return {}
    return dict(line.rsplit(" ", 1) for line in file.read_text().splitlines() if not line.startswith("#"))


def node(introduced):
    """The version node of rstream.map that a function of this version belongs to."""
    major, minor, _ = introduced.split(".")
    return f"RSTREAM_{major}" if minor == "0" else f"RSTREAM_{major}.{minor}"


def run(*command, **options):
    return subprocess.run([str(word) for word in command], text=True, capture_output=True, **options)


def shape(headers, known=None):
    """C source of the shape: all that the headers declare, or only what is in `known`."""
    declarations = [one for header in headers for one in header.declarations if known is None or one.name in known]
    lines = [f"#include <{header.path}>" for header in headers]
    for one in sorted(declarations, key=lambda one: one.name):
        if one.kind == "function":
            parameters = ", ".join(f"{p.type} {p.name}" for p in one.parameters) or "void"
            uses = "".join(f"(void){p.name}; " for p in one.parameters)
            result = "" if one.returns == "void" else "return 0; "
            lines.append(f"{one.returns} {one.name}({parameters}) {{ {uses}{result}}}")
        elif one.kind in ("enum", "struct", "callback"):
            # Types that no function takes are kept by a variable, which is not exported.
            lines.append(f"static __attribute__((used)) {one.name} {one.name}_kept;")
    return "\n".join(lines) + "\n"


def make_dump(source, include=INCLUDE):
    """What abidw says about the shape: sorted, without paths, the same on every machine with 64 bits."""
    soname = re.search(r"-soname=(\S+?)\"", (ROOT / "Package.swift").read_text())[1]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "shape.c").write_text(source)
        compiled = run("gcc", "-std=c11", "-g", "-O0", "-fPIC", "-shared", "-nostdlib", f"-Wl,-soname,{soname}",
                       f"-Wl,--version-script={ROOT / 'rstream.map'}", "-I", include, "shape.c", "-o", "shape.so",
                       cwd=folder)
        if compiled.returncode:
            raise SystemExit(f"abi: the headers do not compile:\n{compiled.stderr}")
        dump = run("abidw", "--load-all-types", "--no-show-locs", "--no-comp-dir-path", "--no-corpus-path",
                   "--no-elf-needed", "--no-architecture", "--type-id-style", "hash", "shape.so", cwd=folder)
        if dump.returncode or not dump.stdout:
            raise SystemExit(f"abi: abidw failed:\n{dump.stderr}")
    return dump.stdout


def abidiff(old, new):
    """What abidiff has to say, with every change it knows, or "". Without --harmless it lets int become unsigned."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "old.abi").write_text(old)
        (Path(folder) / "new.abi").write_text(new)
        result = run("abidiff", "--harmless", "--non-reachable-types", "old.abi", "new.abi", cwd=folder)
    if result.returncode & 3:
        raise SystemExit(f"abi: abidiff failed:\n{result.stderr}")
    return result.stdout if result.returncode else ""


def changes(dump, include=INCLUDE):
    """What has changed or gone since the dump was made: "" when there are at most additions."""
    known = set(re.findall(r"name='(\w+)'", dump))
    new = make_dump(shape(read_headers(include), known), include)
    # A constant more in an enum is an addition too.
    lines = [line for line in new.splitlines() if not is_new_constant(line, known)]
    return abidiff(dump, "\n".join(lines))


def is_new_constant(line, known):
    match = re.match(r"\s*<enumerator name='(\w+)'", line)
    return bool(match) and match[1] not in known


def additions(dump, include=INCLUDE):
    """What the headers have and the dump does not, once `changes` is "": "" when the dump is up to date."""
    return abidiff(dump, make_dump(shape(read_headers(include)), include))


def declared(include=INCLUDE):
    return {function.name for header in read_headers(include) for function in header.of("function")}


def named(include=INCLUDE):
    """Names that are strings: settings and properties with their types, features, error names with their numbers."""
    names = set()
    for header in read_headers(include):
        for kind, table in header.doc.blocks:
            if kind == "table" and table[0][0] == "name":
                of_type = table[0].index("type") if "type" in table[0] else None
                stem = Path(header.path).stem
                names |= {f"{stem} {row[0]}" + (f" {row[of_type]}" if of_type else "") for row in table[1:]}
    errors = re.findall(r"XX\(\w+, (-\d+), \"(\w+)\"", (include / "rstream/error.h").read_text())
    return names | {f"error {name} {number}" for number, name in errors}


def promised(symbols=SYMBOLS):
    """What the library has to export: {"rstream_features@@RSTREAM_1", ...}."""
    return {f"{name}@@{node(introduced)}" for name, introduced in read_list(symbols).items()}


def debian_symbols(text, symbols=SYMBOLS):
    """The symbols file of the Debian package, with the functions that abi/symbols lists."""
    kept = [line for line in text.splitlines() if not line.startswith(" rstream_")]
    introduced = read_list(symbols)
    listed = [f" {name}@{node(introduced[name])} {introduced[name]}" for name in sorted(introduced)]
    return "\n".join([*kept, *listed]) + "\n"


def check(include=INCLUDE, symbols=SYMBOLS, names=NAMES, dump=DUMP, debian=DEBIAN):
    """Complaints; none when the headers are what was promised."""
    complaints = []
    if broken := breaks(include, symbols, names, dump):
        complaints.append(f"the headers break the ABI, which may only grow:\n{broken}")
    elif added := additions(dump.read_text(), include):
        complaints.append(f"{dump.name} lacks additions of the headers; to accept them run ./dev abi --update\n{added}")
    for file, there in [(symbols, declared(include)), (names, named(include))]:
        if new := there - read_list(file).keys():
            complaints.append(
                f"the headers have what abi/{file.name} does not: {', '.join(sorted(new))}\n"
                "to add it run ./dev abi --update and commit abi/"
            )
    if debian.exists() and debian.read_text() != debian_symbols(debian.read_text(), symbols):
        complaints.append(f"{debian.name} is not what abi/symbols says; to write it anew run ./dev abi --update")
    return complaints


def breaks(include=INCLUDE, symbols=SYMBOLS, names=NAMES, dump=DUMP):
    """What has changed or gone: "" when there are at most additions."""
    gone = (read_list(symbols).keys() - declared(include)) | (read_list(names).keys() - named(include))
    lines = [f"gone or changed: {', '.join(sorted(gone))}\n"] if gone else []
    return "".join([*lines, changes(dump.read_text(), include)])


def update(include=INCLUDE, symbols=SYMBOLS, names=NAMES, dump=DUMP, debian=DEBIAN, is_breaking=False):
    """Accepts additions; with `is_breaking` all else as well. Returns complaints."""
    if not is_breaking and dump.exists():
        if broken := breaks(include, symbols, names, dump):
            return [f"not updated, because this breaks the ABI:\n{broken}"]
    for file, there, heading in [
        (symbols, declared(include), SYMBOLS_HEADING),
        (names, named(include), NAMES_HEADING),
    ]:
        known = read_list(file)
        file.write_text(heading + "".join(f"{one} {known.get(one, version(include))}\n" for one in sorted(there)))
    dump.write_text(make_dump(shape(read_headers(include)), include))
    if debian.exists():
        debian.write_text(debian_symbols(debian.read_text(), symbols))
    return []


def main():
    parser = argparse.ArgumentParser(prog="./dev abi", description="Holds the headers against the ABI in abi/.")
    parser.add_argument("--update", action="store_true",
                        help="accept additions: write the files in abi/ anew")
    parser.add_argument("--breaking", action="store_true",
                        help="with --update: accept changes too, of what no release has had")
    arguments = parser.parse_args()
    complaints = update(is_breaking=arguments.breaking) if arguments.update else check()
    for complaint in complaints:
        print(f"abi: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
