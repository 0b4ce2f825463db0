# SPDX-License-Identifier: Apache-2.0
"""Manual pages of section 3: one for each header, and one that sources it for each name that the header declares."""

import re
import textwrap

from prose import codes_of, parameter_texts, signature, words

WIDTH = 78
ERRORS = (
    "Functions that return a code, and callbacks, report libuv's codes and those that error.h lists. "
    "Mentioned above are these of librstream's own:"
)
WRAPPER = textwrap.TextWrapper(WIDTH, break_long_words=False, break_on_hyphens=False)


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


def inline(text, pages):
    parts = []
    for kind, word in words(text):
        if kind == "text":
            parts.append(escape(word))
        elif kind == "function":
            parts.append(f"\\fB{word}\\fP()")
        elif kind == "header" and f"rstream_{word}" in pages:
            parts.append(f"\\fBrstream_{word}\\fP(3)")
        elif kind == "header":
            parts.append(f"\\fB{word}\\fP(3)" if word == "rstream" else escape(f"{word}.h"))
        else:
            parts.append(f"\\fB{escape(word)}\\fP")
    # A sentence begins on a line of its own, as formatters want it.
    sentences = re.sub(r"(?<=\S[.?])(?<!e\.g\.) +(?=[\"A-Z\\])", "\n", "".join(parts)).split("\n")
    lines = [line for sentence in sentences for line in WRAPPER.wrap(sentence)]
    return "\n".join(re.sub(r"^([.'])", r"\\&\1", line) for line in lines)


def blocks(doc, pages):
    lines = []
    for kind, block in doc.blocks:
        if kind == "text":
            lines += [".PP", inline(block, pages)]
        elif kind == "list":
            for item in block:
                lines += [".IP \\(bu 2", inline(item, pages)]
        else:
            heads, *rows = block
            lines += [".PP"]
            for name, *middle, meaning in rows:
                about = ", ".join(f"{head} {cell}" for head, cell in zip(heads[1:], middle) if cell not in ("", "-"))
                lines += [".TP", f"\\fB{escape(name)}\\fP" + (f" ({escape(about)})" if about else "")]
                lines += [inline(meaning, pages)]
    return lines


def definitions(pairs, pages):
    lines = []
    for term, text in pairs:
        lines += [".TP", term, inline(text, pages)]
    return lines


def code(lines):
    styles = {"code": "\\fB{}\\fP", "parameter": "\\fI{}\\fP"}
    return ["".join(styles[kind].format(escape(text)) for kind, text in line) for line in lines]


def call(declaration, pages):
    """The subsection of a function or callback type."""
    lines = [f".SS {escape(declaration.name)}", ".nf", *code(signature(declaration, WIDTH - 7)), ".fi"]
    lines += blocks(declaration.doc, pages)
    texts = list(parameter_texts(declaration))
    if texts:
        lines += [".PP", "Parameters:", ".RS 4"]
        lines += [*definitions([(f"\\fI{escape(name)}\\fP", text) for name, text in texts], pages), ".RE"]
    if declaration.doc.returns:
        lines += [".PP", "Return value:", ".RS 4", inline(declaration.doc.returns, pages), ".RE"]
    return lines


def types(header, pages):
    lines = []
    for declaration in header.of("handle", "struct", "enum"):
        lines += [f".SS {escape(declaration.name)}", *blocks(declaration.doc, pages)]
        for member in declaration.members:
            term = f"\\fB{escape(member.name)}\\fP = {escape(member.value)}"
            if declaration.kind == "struct":
                term = f"\\fB{escape(member.value)}\\fP \\fI{escape(member.name)}\\fP"
            lines += definitions([(term, member.doc)], pages)
    return lines


def macros(header, pages):
    lines, doc = [], None
    for macro in header.of("macro"):
        is_plain = re.fullmatch(r'\d+|"[^"]*"', macro.value)
        term = f"\\fB{escape(macro.name)}\\fP" + (f" = {escape(macro.value)}" if is_plain else "")
        if macro.doc is doc:
            lines[-1:-1] = [".TQ", term]
        else:
            lines += definitions([(term, macro.doc.description)], pages)
        doc = macro.doc
    return lines


def section(title, lines):
    return [f".SH {title}", *lines] if lines else []


def tidy(lines):
    """The lines as a page, without the .PP that begin or end nothing."""
    kept = []
    for line in lines:
        if kept[-1:] == [".PP"] and line.startswith((".TP", ".IP", ".SH", ".SS", ".RS")):
            kept.pop()
        if line != ".PP" or not kept[-1].startswith((".SH", ".SS", ".RS")):
            kept.append(line)
    return "\n".join(kept) + "\n"


def heading(page, title, names, about):
    date, version = about["date"], about["version"]
    return [
        '.\\" SPDX-License-Identifier: Apache-2.0',
        f'.\\" Made from include/{title[0]} by docs/reference/generate.py.',
        f'.TH {page.upper()} 3 "{date}" "librstream {version}" "librstream"',
        # Names are not to be broken, nor lines to be stretched.
        ".nh",
        ".ad l",
        *section("NAME", [textwrap.fill(", ".join([page, *names]), WIDTH), f"\\- {escape(title[1])}"]),
    ]


def see_also(page, others):
    pages = [f".BR {other} ({number})" for other, number in others if other != page]
    return section("SEE ALSO", [*(f"{line} ," for line in pages[:-1]), pages[-1]])


def versions(functions, about):
    """Which version has introduced the functions: most of them in one sentence, the others by name."""
    since = [about["symbols"].get(one.name, about["version"]) for one in functions]
    if not since:
        return []
    usual = max(since, key=since.count)
    others = [(one.name, version) for one, version in zip(functions, since) if version != usual]
    lines = [f"Since {usual}{', but for:' if others else '.'}"]
    for name, version in others:
        lines += [".TP", f"\\fB{name}\\fP()", f"since {version}"]
    return lines


def header_page(header, headers, about):
    pages = {one.page for one in headers}
    functions = header.of("function")
    names = [one.name for one in functions if one.name != header.page]
    synopsis = [".nf", "\\fB#include <rstream.h>\\fP"]
    for function in functions:
        synopsis += [".PP", *code(signature(function, WIDTH - 7))]
    codes = [
        (f"\\fB{escape(name)}\\fP", about["codes"][name]) for name in codes_of(header) if name in about["codes"]
    ]
    lines = [
        *heading(header.page, (header.path, header.title), names, about),
        *section("SYNOPSIS", [*synopsis, ".fi", ".PP", "Link with \\fI\\-lrstream\\fP."]),
        *section("DESCRIPTION", blocks(header.doc, pages)),
        *section("FUNCTIONS", [line for one in functions for line in call(one, pages)]),
        *section("CALLBACKS", [line for one in header.of("callback") for line in call(one, pages)]),
        *section("TYPES", types(header, pages)),
        *section("CONSTANTS", macros(header, pages)),
        *section("ERRORS", [inline(ERRORS, pages), *definitions(codes, pages)] if codes else []),
        *section("VERSIONS", versions(functions, about)),
        *see_also(header.page, about["pages"]),
    ]
    return tidy(lines)


def overview_page(header, headers, about):
    pages = {one.page for one in headers}
    parts = []
    for one in headers:
        if one is not header:
            parts += [".TP", f".BR {one.page} (3)", inline(f"{one.title}.", pages)]
            if functions := one.of("function"):
                parts += ["\n".join(textwrap.wrap(", ".join(f.name for f in functions) + ".", WIDTH))]
    example = [".PP", ".nf", *(escape(line) for line in about["example"].splitlines()), ".fi"]
    lines = [
        *heading("rstream", (header.path, header.title), [], about),
        *section("SYNOPSIS", [".nf", "\\fB#include <rstream.h>\\fP", ".PP",
                              "cc program.c $(pkg\\-config \\-\\-cflags \\-\\-libs librstream)", ".fi"]),
        *section("DESCRIPTION", blocks(header.doc, pages)),
        *section("PAGES", parts),
        *section("EXAMPLES", [inline(about["example_text"], pages), *example] if about["example"] else []),
        *see_also("rstream", about["pages"]),
    ]
    return tidy(lines)


def manual_pages(headers, about):
    """Texts of the pages by their file names."""
    files = {}
    for header in headers:
        page = overview_page if header.page == "rstream" else header_page
        files[f"{header.page}.3"] = page(header, headers, about)
    for header in headers:
        for one in header.of("function", "callback", "handle", "struct", "enum"):
            files.setdefault(f"{one.name}.3", f".so man3/{header.page}.3\n")
    return files
