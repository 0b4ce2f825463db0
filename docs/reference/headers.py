# SPDX-License-Identifier: Apache-2.0
"""Reads the public headers: what they declare and what their documentation comments say.

It knows the C that these headers are written in, not all of C: typedefs of opaque structs, structs, enums and function
pointers, functions marked RSTREAM_API, and macros. What it does not know is an error, so that nothing is left out.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

INCLUDE = Path(__file__).resolve().parents[2] / "include"


class HeaderError(Exception):
    """A header holds something that this parser does not know."""


@dataclass
class Doc:
    """A documentation comment: blocks of text, then @param and @return.

    A block is ("text", str), ("list", [str]) or ("table", [[cell]]) with the column heads as first row.
    """

    blocks: list = field(default_factory=list)
    params: dict = field(default_factory=dict)
    returns: str = ""

    @property
    def description(self):
        """What comes before the tags, as one line."""
        return " ".join(block if kind == "text" else str(block) for kind, block in self.blocks)

    @property
    def text(self):
        """All of it, as one line."""
        return " ".join([self.description, *self.params.values(), self.returns])


@dataclass
class Parameter:
    type: str
    name: str


@dataclass
class Member:
    """A field of a struct (`value` is its type) or a constant of an enum (`value` is its number)."""

    name: str
    value: str
    doc: str


@dataclass
class Declaration:
    kind: str  # function, callback, handle, struct, enum or macro
    name: str
    doc: Doc
    returns: str = ""
    parameters: list = field(default_factory=list)
    members: list = field(default_factory=list)
    value: str = ""


@dataclass
class Header:
    path: str  # as it is included: rstream/client.h
    title: str
    doc: Doc
    declarations: list

    @property
    def page(self):
        """Name of its manual page: rstream_client; rstream for rstream.h."""
        stem = Path(self.path).stem
        return stem if stem == "rstream" else f"rstream_{stem}"

    def of(self, *kinds):
        return [declaration for declaration in self.declarations if declaration.kind in kinds]


def squeeze(text):
    return " ".join(text.split())


def read_blocks(lines):
    blocks = []
    is_open = False  # whether the last block goes on
    for line in lines:
        if not line.strip():
            is_open = False
        elif line.startswith("|"):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if not is_open:
                blocks.append(("table", []))
            rows = blocks[-1][1]
            if not cells[0] and rows:
                # A row goes on in the next line.
                rows[-1] = [f"{above} {below}".strip() for above, below in zip(rows[-1], cells)]
            elif not all(re.fullmatch("-+", cell) for cell in cells):
                rows.append(cells)
            is_open = True
        elif line.startswith("- "):
            if not (blocks and blocks[-1][0] == "list"):
                blocks.append(("list", []))
            blocks[-1][1].append(line[2:].strip())
            is_open = True
        elif is_open and blocks[-1][0] == "list":
            blocks[-1][1][-1] += " " + line.strip()
        elif is_open:
            blocks[-1] = ("text", blocks[-1][1] + " " + line.strip())
        else:
            blocks.append(("text", line.strip()))
            is_open = True
    return blocks


def read_doc(comment):
    """A Doc from the comment with its delimiters; an empty one from None."""
    if comment is None:
        return Doc()
    lines = [re.sub(r"^\s*\* ?", "", line) for line in comment[3:-2].strip().split("\n")]
    text, *tagged = re.split(r"(?:^|\s)@(?=param\s|return\s)", "\n".join(lines))
    doc = Doc(read_blocks(text.split("\n")))
    for part in tagged:
        tag, rest = part.split(None, 1)
        if tag == "param":
            name, what = rest.split(None, 1)
            doc.params[name] = squeeze(what)
        else:
            doc.returns = squeeze(rest)
    return doc


def split_type(declarator):
    """("const char *", "name") from "const char *name"."""
    match = re.fullmatch(r"(.*?[\s*])(\w+)", declarator)
    if not match:
        raise HeaderError(f"a parameter without a name: {declarator}")
    return match[1].strip(), match[2]


def read_parameters(text):
    text = squeeze(text)
    return [] if text == "void" else [Parameter(*split_type(part.strip())) for part in text.split(",")]


MEMBER = re.compile(r"(?P<code>[^,;/]+)[,;]?\s*(?:/\*\*<(?P<doc>.*?)\*/)?\s*", re.DOTALL)


def read_members(body, is_enum):
    members, at = [], 0
    body = body.strip()
    while at < len(body):
        match = MEMBER.match(body, at)
        if not match:
            raise HeaderError(f"not a member: {body[at:at + 80]}")
        at = match.end()
        doc = squeeze(re.sub(r"\n\s*\*", " ", match["doc"] or ""))
        code = squeeze(match["code"])
        if is_enum:
            name, _, value = code.partition("=")
            members.append(Member(name.strip(), value.strip(), doc))
        else:
            kind, name = split_type(code)
            members.append(Member(name, kind, doc))
    return members


def read_declaration(code, comment):
    """A declaration without its ';', or None for one that is only there for the compiler."""
    doc = read_doc(comment)
    plain = squeeze(code)
    if match := re.fullmatch(r"typedef struct (\w+) \1", plain):
        return Declaration("handle", match[1], doc)
    if match := re.fullmatch(r"typedef (struct|enum) (\w+) \{(.*)\} \2", code, re.DOTALL):
        return Declaration(match[1], match[2], doc, members=read_members(match[3], match[1] == "enum"))
    if match := re.fullmatch(r"typedef (.+?)\(\*(\w+)\)\((.*)\)", plain):
        return Declaration("callback", match[2], doc, match[1].strip(), read_parameters(match[3]))
    if match := re.fullmatch(r"RSTREAM_API (.*?[\s*])(\w+)\((.*)\)", plain):
        return Declaration("function", match[2], doc, match[1].strip(), read_parameters(match[3]))
    if re.fullmatch(r"struct \w+", plain):
        return None
    raise HeaderError(f"unknown declaration: {plain}")


TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<comment>/\*.*?\*/)
      | (?P<directive>\#(?:[^\n]*\\\n)*[^\n]*)
      | (?P<linkage>extern\ "C"\ \{|\}(?=\s*\#endif))
      | (?P<declaration>(?:[^;{}]|\{(?:/\*.*?\*/|[^}])*\})+;)
    """,
    re.DOTALL | re.VERBOSE,
)


def read_header(path, include=INCLUDE):
    text = (include / path).read_text(encoding="utf-8")
    header, at, comment, group = None, 0, None, Doc()
    guard = re.sub(r"\W", "_", Path(path).name).upper()
    seen = set()
    while at < len(text):
        token = TOKEN.match(text, at)
        if not token:
            raise HeaderError(f"{path}: unknown text: {text[at:at + 80]}")
        at = token.end()
        if token.lastgroup == "space":
            # Macros in consecutive lines share the comment above the first.
            if token[0].count("\n") > 1:
                group = Doc()
        elif token.lastgroup == "comment":
            if header is None and token[0].startswith("/**"):
                doc = read_doc(token[0])
                name, _, title = doc.blocks[0][1].partition(" - ")
                if name != Path(path).name or not title:
                    raise HeaderError(f"{path}: the first comment begins with '{Path(path).name} - what it is'")
                # The first paragraph's first sentence is the title; the rest belongs to the text.
                title, _, rest = title.partition(". ")
                doc.blocks[0] = ("text", rest)
                doc.blocks = [block for block in doc.blocks if block[1]]
                header = Header(path, title.rstrip("."), doc, [])
            elif token[0].startswith("/**") and not token[0].startswith("/**<"):
                comment = token[0]
        elif token.lastgroup == "directive":
            match = re.match(r"#define (\w+)(\([^)]*\))?[ \t]*(.*)", token[0], re.DOTALL)
            if match and match[1] not in seen | {guard, f"RSTREAM_{guard}"}:
                group = read_doc(comment) if comment else group
                seen.add(match[1])
                value = "" if match[2] else squeeze(match[3])
                header.declarations.append(Declaration("macro", match[1] + (match[2] or ""), group, value=value))
            if match:
                comment = None
        elif token.lastgroup == "declaration":
            declaration = read_declaration(token[0][:-1].strip(), comment)
            comment = None
            if declaration:
                header.declarations.append(declaration)
    if header is None:
        raise HeaderError(f"{path}: no comment says what the header is")
    return header


def read_headers(include=INCLUDE):
    """All public headers, rstream.h first."""
    paths = sorted((str(path.relative_to(include)) for path in include.rglob("*.h")), key=lambda p: ("/" in p, p))
    return [read_header(path, include) for path in paths]
