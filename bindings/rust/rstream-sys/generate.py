#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/*.rs from the headers of librstream: one module for each header, with its documentation.

    generate.py [INCLUDE_FOLDER]

Whether what it writes means the same as the headers is checked by tests/header.rs, with a C compiler.
"""
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
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


def documentation(comment, prefix):
    """A C comment as lines of rustdoc, in which brackets are no links and angles no HTML."""
    text = re.sub(r"^/\*\*<?|\*/$", "", comment.strip()).strip()
    lines = [re.sub(r"^\s*\* ?", "", line).rstrip() for line in text.split("\n")]
    result = []
    for line in lines:
        line = re.sub(r"@param\s+(\w+)\s+", r"- `\1`: ", line.strip() if line.strip().startswith("@") else line)
        line = re.sub(r"@return\s+", "Returns ", line)
        line = re.sub(r"(?<!`)([\[\]<>*])(?!`)", r"\\\1", line)
        if line.startswith(("- ", "Returns")) and result and result[-1] and not result[-1].startswith("- "):
            result.append("")
        if line.startswith("Returns") and result and result[-1]:
            result.append("")
        continues = result and result[-1].startswith(("- ", "  ")) and line.startswith(" ")
        result.append("  " + line.strip() if continues else line.strip())
    return [f"{prefix} {line}".rstrip() for line in result]


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


def parameters(text):
    text = " ".join(text.split())
    if text == "void":
        return []
    result = []
    for parameter in text.split(","):
        kind, name = re.fullmatch(r"(.*?)(\w+)", parameter.strip()).groups()
        name = {"loop": "loop_", "match": "match_", "type": "type_"}.get(name, name)
        result.append((name, rust_type(kind)))
    return result


def signature(head, arguments, result, tail):
    end = ("" if result == "void" else " -> " + rust_type(result)) + tail
    return [head + "(" + ", ".join(f"{name}: {kind}" for name, kind in arguments) + ")" + end]


def constant(name, kind, value, comment):
    return [f"/// {comment}", f"pub const {name}: {kind} = {value};", ""]


def opaque(name, comment):
    return [
        f"/// {comment}",
        "#[repr(C)]",
        f"pub struct {name} {{",
        "    _opaque: [u8; 0],",
        "    _not_send: PhantomData<(*mut u8, PhantomPinned)>,",
        "}",
        "",
    ]


def enumeration(name, body, docs):
    result = [*docs, f"pub type {name} = c_int;", ""]
    if name == "rstream_errno":
        return result
    for enumerator, value in re.findall(r"(\w+)\s*=\s*(-?\d+)", body):
        result += constant(enumerator, name, value, f"One of [`{name}`].")
    return result


def structure(name, body, docs):
    result = [*docs, "#[repr(C)]", "#[derive(Clone, Copy, Debug)]", f"pub struct {name} {{"]
    for kind, field, comment in re.findall(r"([^;/]+?)(\w+);\s*/\*\*<(.*?)\*/", body, re.S):
        result += [f"    ///{comment.rstrip()}", f"    pub {field}: {rust_type(' '.join(kind.split()))},"]
    return [*result, "}", ""]


def errors(text):
    result = []
    for name, value, identifier, meaning in re.findall(r'XX\((\w+), (-\d+), "(\w+)", "(.*?)"\)', text):
        result += constant(f"RSTREAM_E{name}", "rstream_errno", value, f"`{identifier}`: {meaning}.")
    return result


def version(text):
    result = []
    for name, value in re.findall(r"#define (RSTREAM_VERSION_(?:MAJOR|MINOR|PATCH)) (\d+)", text):
        result += constant(name, "c_uint", value, "Part of the version of the headers.")
    for value in re.findall(r'#define RSTREAM_VERSION_STRING ("[^"]*")', text):
        result += constant("RSTREAM_VERSION_STRING", "&str", value, "Version of the headers.")
        result += [
            "/// The version as one number to compare: 0xMMmmpp.",
            "pub const RSTREAM_VERSION_NUMBER: c_uint =",
            "    (RSTREAM_VERSION_MAJOR << 16) | (RSTREAM_VERSION_MINOR << 8) | RSTREAM_VERSION_PATCH;",
            "",
        ]
    return result


ITEM = re.compile(
    r"(?P<doc>/\*\*(?:(?!\*/).)*\*/\s*)?"
    r"(?:typedef struct (?P<opaque>\w+) (?P=opaque);"
    r"|struct (?P<foreign>\w+);"
    r"|typedef struct (?P<struct>\w+) \{(?P<fields>.*?)\} (?P=struct);"
    r"|typedef enum (?P<enum>\w+) \{(?P<values>.*?)\} (?P=enum);"
    r"|typedef (?P<result>[\w ]+?)\s*\(\*(?P<callback>\w+)\)\((?P<takes>[^)]*)\);"
    r"|RSTREAM_API (?P<returns>[^(;]*?)(?P<function>rstream_\w+)\((?P<arguments>[^)]*)\);)",
    re.S,
)


def module(path):
    text = path.read_text()
    items, functions = [], []
    items += errors(text) + version(text)
    for match in ITEM.finditer(text):
        docs = documentation(match["doc"], "///") if match["doc"] else []
        if name := match["opaque"]:
            items += opaque(name, "An opaque object.")
        elif name := match["foreign"]:
            items += opaque(name, "libuv's `uv_loop_t`.")
        elif name := match["struct"]:
            items += structure(name, match["fields"], docs)
        elif name := match["enum"]:
            items += enumeration(name, match["values"], docs)
        elif name := match["callback"]:
            head = f"pub type {name} = Option<unsafe extern \"C\" fn"
            items += docs + signature(head, parameters(match["takes"]), match["result"], ">;") + [""]
        else:
            head = "pub fn " + match["function"]
            functions += docs + signature(head, parameters(match["arguments"]), match["returns"].strip(), ";")
    if functions:
        items += ['extern "C" {', *functions, "}"]
    body = "\n".join(items).strip()
    uses = []
    if c_types := sorted(set(re.findall(r"\bc_(?:char|int|uint|void)\b", body))):
        names = ", ".join(c_types)
        uses += ["use std::os::raw::" + (names if len(c_types) == 1 else "{" + names + "}") + ";"]
    if "PhantomData" in body:
        uses += ["use std::marker::{PhantomData, PhantomPinned};"]
    words, made = r"\brstream_\w+", r"(?:struct|type|fn) (rstream_\w+)"
    if set(re.findall(words, re.sub(r"//.*", "", body))) - set(re.findall(made, body)):
        uses += ["use crate::types::*;"]
    head = re.search(r"/\*\*.*?\*/", text, re.S)[0]
    lines = [
        "// SPDX-License-Identifier: Apache-2.0",
        f"// Made by generate.py from {path.name}.",
        *documentation(head, "//!"),
        *uses,
        "",
        body,
        "",
    ]
    written = HERE / "src" / f"{path.stem}.rs"
    written.write_text("\n".join(lines))
    subprocess.run(["rustfmt", "--edition", "2021", written], check=True)


if __name__ == "__main__":
    include = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "../../../include"
    for header in sorted((include / "rstream").glob("*.h")):
        module(header)
