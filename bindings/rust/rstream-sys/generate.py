#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/*.rs from the headers of librstream: one module for each header, with its documentation. Needs rustfmt.

Whether what it writes means the same as the headers is checked by tests/header.rs, with a C compiler.
"""
import re
import subprocess
import sys
import textwrap
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "docs/reference"))

from headers import read_headers  # noqa: E402

TYPES = {
    "void": "c_void",
    "char": "c_char",
    "int": "c_int",
    "unsigned int": "c_uint",
    "size_t": "usize",
    "uint8_t": "u8",
    "uint16_t": "u16",
    "uint32_t": "u32",
    "uint64_t": "u64",
    "int64_t": "i64",
    "double": "f64",
}
KEYWORDS = {"loop", "match", "type", "ref", "in"}
FOREIGN = {"uv_loop_s": "libuv's `uv_loop_t`."}


def escaped(text):
    """Text in which brackets are no links, angles no HTML and stars no emphasis, but as they are between backticks."""
    parts = re.split(r"(`[^`]*`)", re.sub(r"(https?://[^\s,;|]*)", r"`\1`", text))
    return "".join(part if part.startswith("`") else re.sub(r"([\[\]<>*])", r"\\\1", part) for part in parts)


def sentence(text):
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def wrapped(text, indent=""):
    return textwrap.wrap(text, 112, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def documentation(doc, prefix="///", title=None):
    lines = wrapped(escaped(sentence(title))) if title else []
    for kind, block in doc.blocks:
        lines += [""] if lines else []
        if kind == "text":
            lines += wrapped(escaped(block))
        elif kind == "list":
            for item in block:
                lines += wrapped("- " + escaped(item), "  ")
        else:
            head, *rows = block
            for row in [head, ["---"] * len(head), *rows]:
                lines.append("| " + " | ".join(escaped(cell) for cell in row) + " |")
    if doc.params:
        lines += [""]
    for name, text in doc.params.items():
        lines += wrapped(f"- `{name}`: {escaped(text)}", "  ")
    if doc.returns:
        lines += ["", *wrapped(escaped(sentence("returns " + doc.returns)))]
    return [f"{prefix} {line}".rstrip() for line in lines]


def rust_type(text):
    """`const rstream_error *` as `*const rstream_error`."""
    text = text.strip()
    if text.endswith("*"):
        inner = text[:-1].strip()
        if inner.endswith("*") or not inner.startswith("const "):
            return "*mut " + rust_type(inner)
        return "*const " + rust_type(inner[len("const ") :])
    text = text.removeprefix("struct ")
    return TYPES.get(text, text)


def signature(declaration):
    names = ((p.name + "_" if p.name in KEYWORDS else p.name, p.type) for p in declaration.parameters)
    takes = ", ".join(f"{name}: {rust_type(kind)}" for name, kind in names)
    gives = "" if declaration.returns == "void" else f" -> {rust_type(declaration.returns)}"
    return f"({takes}){gives}"


def opaque(name, lines):
    return [
        *lines,
        "#[repr(C)]",
        f"pub struct {name} {{",
        "    _opaque: [u8; 0],",
        "    _not_send: PhantomData<(*mut u8, PhantomPinned)>,",
        "}",
        "",
    ]


def item(declaration):
    name, lines = declaration.name, documentation(declaration.doc)
    if declaration.kind == "handle":
        return opaque(name, lines)
    if declaration.kind == "struct":
        lines += ["#[repr(C)]", "#[derive(Clone, Copy, Debug)]", f"pub struct {name} {{"]
        for member in declaration.members:
            lines += [f"    /// {escaped(sentence(member.doc))}", f"    pub {member.name}: {rust_type(member.value)},"]
        return [*lines, "}", ""]
    if declaration.kind == "callback":
        return [*lines, f'pub type {name} = Option<unsafe extern "C" fn{signature(declaration)}>;', ""]
    if declaration.kind == "enum":
        lines += [f"pub type {name} = c_int;", ""]
        for member in declaration.members:
            lines += [f"/// {escaped(sentence(member.doc))}", f"pub const {member.name}: {name} = {member.value};", ""]
        return lines
    # Macros that take parameters or are no values say nothing to Rust.
    if "(" in name or not declaration.value or name == "RSTREAM_API":
        return []
    kind = "&str" if declaration.value.startswith('"') else "c_uint"
    value = re.sub(r"^\((.*)\)$", r"\1", declaration.value)
    return [*lines, f"pub const {name}: {kind} = {value};", ""]


def uses(body):
    code = re.sub(r"//.*", "", body)
    if c_types := sorted(set(re.findall(r"\bc_(?:char|int|uint|void)\b", code))):
        yield f"use std::os::raw::{{{', '.join(c_types)}}};"
    if "PhantomData" in code:
        yield "use std::marker::{PhantomData, PhantomPinned};"
    if set(re.findall(r"\brstream_\w+", code)) - set(re.findall(r"(?:struct|type|fn) (rstream_\w+)", code)):
        yield "use crate::types::*;"


def module(header):
    lines = []
    types = " ".join(p.type for declaration in header.declarations for p in declaration.parameters)
    for name, what in FOREIGN.items():
        if f"struct {name} " in types:
            lines += opaque(name, [f"/// {what}"])
    for declaration in header.declarations:
        if declaration.kind != "function":
            lines += item(declaration)
    functions = []
    for declaration in header.of("function"):
        functions += documentation(declaration.doc)
        functions += [f"pub fn {declaration.name}{signature(declaration)};"]
    if functions:
        lines += ['extern "C" {', *functions, "}"]
    body = "\n".join(lines)
    head = ["// SPDX-License-Identifier: Apache-2.0", f"// Made by generate.py from {header.path}."]
    return "\n".join([*head, *documentation(header.doc, "//!", header.title), *uses(body), "", body, ""])


def main():
    for header in read_headers():
        if header.path != "rstream.h":
            path = HERE / "src" / f"{Path(header.path).stem}.rs"
            path.write_text(module(header))
            subprocess.run(["rustfmt", "--edition", "2021", path], check=True)


if __name__ == "__main__":
    main()
