#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the reference from the public headers: manual pages (--man FOLDER) and HTML pages (--html FOLDER).

The same tree gives the same bytes. Pages carry a date when SOURCE_DATE_EPOCH says which.
"""

import argparse
import os
import re
import sys
import time
from pathlib import Path

from headers import read_headers
from html_pages import html_pages
from man_pages import manual_pages

ROOT = Path(__file__).resolve().parents[2]


def what_is_known(headers):
    """What the pages say that is not in the documentation comments."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    programs = re.findall(r"^```c\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    [version] = [
        macro.value.strip('"') for header in headers for macro in header.of("macro")
        if macro.name == "RSTREAM_VERSION_STRING"
    ]
    symbols = (ROOT / "abi/symbols").read_text(encoding="utf-8").splitlines()
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime(int(epoch))) if epoch else "",
        "version": version,
        "symbols": dict(line.split() for line in symbols if not line.startswith("#")),
        "codes": {member.name: member.doc for header in headers for one in header.of("enum") for member in one.members},
        "pages": [(header.page, 3) for header in headers] + [("rstreamctl", 1)],
        "example": programs[0] if programs else "",
        "example_text": "A program that publishes a web server of this machine:",
    }


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description="Makes manual pages and HTML from the public headers.")
    parser.add_argument("--man", type=Path, metavar="FOLDER", help="where the pages of section 3 go")
    parser.add_argument("--html", type=Path, metavar="FOLDER", help="where index.html and the rest go")
    arguments = parser.parse_args()
    headers = read_headers()
    about = what_is_known(headers)
    if arguments.man:
        write(arguments.man, manual_pages(headers, about))
    if arguments.html:
        write(arguments.html, html_pages(headers, about))
    return 0


if __name__ == "__main__":
    sys.exit(main())
