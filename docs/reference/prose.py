# SPDX-License-Identifier: Apache-2.0
"""What the manual pages and the HTML pages have in common: words, signatures and what is said about parameters."""

import re

from rules import CONVENTIONS, convention

WORD = re.compile(
    r"""`(?P<code>[^`]+)`
      | \b(?P<function>rstream_\w+)\(\)
      | \b(?P<constant>(?:RSTREAM|UV)_[A-Z]\w*)\b
      | \b(?P<header>rstream|\w+)\.h\b
    """,
    re.VERBOSE,
)


def words(text):
    """Text in pieces: ("text", ...), ("code", ...), ("function", name), ("constant", name) or ("header", stem)."""
    at = 0
    for match in WORD.finditer(text):
        if match.start() > at:
            yield "text", text[at : match.start()]
        yield match.lastgroup, match[match.lastgroup]
        at = match.end()
    if at < len(text):
        yield "text", text[at:]


def signature(declaration, width):
    """A function or callback type as C, in lines of at most `width`: each a list of ("code" or "parameter", text)."""
    if declaration.kind == "callback":
        opening = f"typedef {declaration.returns} (*{declaration.name})("
    else:
        opening = f"{declaration.returns}{'' if declaration.returns.endswith('*') else ' '}{declaration.name}("
    if not declaration.parameters:
        return [[("code", f"{opening}void);")]]
    lines, indent, length = [[("code", opening)]], len(opening), len(opening)
    for index, parameter in enumerate(declaration.parameters):
        kind = parameter.type + ("" if parameter.type.endswith("*") else " ")
        end = ");" if index + 1 == len(declaration.parameters) else ","
        size = len(kind + parameter.name + end)
        if index and length + 1 + size > width:
            # What does not fit even below the parenthesis is moved to the left.
            widest = max(len(p.type + p.name) + 3 for p in declaration.parameters)
            indent = min(indent, max(4, width - widest))
            lines.append([("code", " " * indent)])
            length = indent
        elif index:
            lines[-1].append(("code", " "))
            length += 1
        lines[-1] += [("code", kind), ("parameter", parameter.name), ("code", end)]
        length += size
    return lines


def parameter_texts(declaration):
    """(name, what it is) for each parameter, the conventions of rstream.h spelled out."""
    for index, parameter in enumerate(declaration.parameters):
        kind = convention(declaration, index)
        if parameter.name in declaration.doc.params:
            text = declaration.doc.params[parameter.name]
        elif f"`{parameter.name}`" in declaration.doc.description:
            text = "as said above; borrowed for the call" if kind == "cause" else "as said above"
        elif kind == "object":
            handle = re.sub(r"^(const )?rstream_| \*$", "", parameter.type).replace("_", " ")
            text = "the control channel" if handle == "control" else f"the {handle}"
        else:
            text = CONVENTIONS[kind]
        yield parameter.name, text


def codes_of(header):
    """Names of the error codes that a header's documentation mentions, librstream's and libuv's."""
    text = " ".join([header.doc.text, *(one.doc.text for one in header.of("function", "callback"))])
    return sorted(set(re.findall(r"\bRSTREAM_E[A-Z_]+\b|\bUV_E[A-Z]+\b", text)))
