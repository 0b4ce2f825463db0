# SPDX-License-Identifier: Apache-2.0
"""The reference as HTML: a page for each header and an index, static, without scripts."""

from html import escape

from prose import codes_of, parameter_texts, signature, words

WIDTH = 100

STYLE = """\
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif; color: #222; }
nav { margin-bottom: 2rem; border-bottom: 1px solid #ccc; padding-bottom: .5rem; }
nav a { margin-right: .8rem; }
a { color: #0b5394; text-decoration: none; }
a:hover { text-decoration: underline; }
code, pre { font-family: ui-monospace, monospace; font-size: .92em; }
pre { overflow-x: auto; padding: .6rem .8rem; background: #f5f5f5; border-left: 3px solid #0b5394; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #ddd; }
h3 { margin-top: 2rem; }
table { border-collapse: collapse; }
th, td { padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #eee; text-align: left; vertical-align: top; }
dt { margin-top: .4rem; }
dd { margin-left: 1.5rem; }
footer { margin-top: 3rem; color: #666; font-size: .85rem; }
@media (prefers-color-scheme: dark) {
  body { background: #1b1b1b; color: #ddd; }
  pre { background: #262626; }
  a { color: #7ab4e8; }
}
"""


class Links:
    """Where each name of the API is explained."""

    def __init__(self, headers):
        self.targets, self.pages = {}, {}
        for header in headers:
            page = "index.html" if header.page == "rstream" else f"{header.page.removeprefix('rstream_')}.html"
            self.pages[header.page] = page
            for one in header.declarations:
                self.targets[one.name.split("(")[0]] = f"{page}#{one.name.split('(')[0]}"
                for member in one.members if one.kind == "enum" else []:
                    self.targets[member.name] = f"{page}#{member.name}"

    def to(self, name, text=None):
        text = escape(text or name)
        return f'<a href="{self.targets[name]}">{text}</a>' if name in self.targets else text

    def inline(self, text):
        parts = []
        for kind, word in words(text):
            page = "rstream" if word == "rstream" else f"rstream_{word}"
            if kind == "text":
                parts.append(escape(word, quote=False))
            elif kind == "function":
                parts.append(f"<code>{self.to(word, f'{word}()')}</code>")
            elif kind == "header" and page in self.pages:
                parts.append(f'<a href="{self.pages[page]}">{word}.h</a>')
            elif kind == "header":
                parts.append(f"{word}.h")
            else:
                parts.append(f"<code>{self.to(word)}</code>")
        return "".join(parts)


def blocks(doc, links):
    lines = []
    for kind, block in doc.blocks:
        if kind == "text":
            lines.append(f"<p>{links.inline(block)}</p>")
        elif kind == "list":
            lines += ["<ul>", *(f"<li>{links.inline(item)}</li>" for item in block), "</ul>"]
        else:
            heads, *rows = block
            lines += ["<table>", "<tr>" + "".join(f"<th>{escape(head)}</th>" for head in heads) + "</tr>"]
            for name, *middle, meaning in rows:
                cells = [f"<code>{escape(name)}</code>", *map(escape, middle), links.inline(meaning)]
                lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
            lines.append("</table>")
    return lines


def code(lines):
    styles = {"code": "{}", "parameter": "<var>{}</var>"}
    text = "\n".join("".join(styles[kind].format(escape(text)) for kind, text in line) for line in lines)
    return f"<pre>{text}</pre>"


def call(one, links, about):
    lines = [f'<h3 id="{one.name}">{one.name}</h3>', code(signature(one, WIDTH)), *blocks(one.doc, links)]
    texts = list(parameter_texts(one))
    if texts or one.doc.returns:
        lines.append("<dl>")
        lines += [f"<dt><var>{name}</var></dt><dd>{links.inline(text)}</dd>" for name, text in texts]
        if one.doc.returns:
            lines.append(f"<dt>Returns</dt><dd>{links.inline(one.doc.returns)}</dd>")
        lines.append("</dl>")
    if one.kind == "function":
        lines.append(f"<p>Since {about['symbols'].get(one.name, about['version'])}.</p>")
    return lines


def data_type(one, links):
    lines = [f'<h3 id="{one.name}">{one.name}</h3>', *blocks(one.doc, links)]
    if one.kind == "enum":
        rows = [(f'<code id="{m.name}">{m.name}</code>', escape(m.value), links.inline(m.doc)) for m in one.members]
    else:
        rows = [(f"<code>{m.name}</code>", f"<code>{escape(m.value)}</code>", links.inline(m.doc)) for m in one.members]
    table = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    return [*lines, "<table>", *table, "</table>"] if table else lines


def macro(one, links):
    name = one.name.split("(")[0]
    value = f" <code>{escape(one.value)}</code>" if one.value else ""
    return [
        f'<dt id="{name}"><code>{escape(one.name)}</code>{value}</dt>',
        f"<dd>{links.inline(one.doc.description)}</dd>",
    ]


def part(title, lines):
    return [f"<h2>{title}</h2>", *lines] if lines else []


def page(title, body, headers, links, about):
    names = {one.page: "librstream" if one.page == "rstream" else one.path for one in headers}
    navigation = "\n".join(f'<a href="{links.pages[page]}">{name}</a>' for page, name in names.items())
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            '<link rel="stylesheet" href="style.css">',
            "</head>",
            "<body>",
            f"<nav>{navigation}</nav>",
            *body,
            f"<footer>librstream {about['version']}</footer>",
            "</body>",
            "</html>\n",
        ]
    )


def header_page(header, links, about):
    codes = [f"<li><code>{links.to(name)}</code>: {links.inline(about['codes'][name])}</li>"
             for name in codes_of(header) if name in about["codes"]]
    constants = [line for one in header.of("macro") for line in macro(one, links)]
    return [
        f"<h1>{header.path}</h1>",
        f"<p>{links.inline(header.title[0].upper() + header.title[1:])}.</p>",
        *blocks(header.doc, links),
        *part("Functions", [line for one in header.of("function") for line in call(one, links, about)]),
        *part("Callbacks", [line for one in header.of("callback") for line in call(one, links, about)]),
        *part("Types", [line for one in header.of("handle", "struct", "enum") for line in data_type(one, links)]),
        *part("Constants", ["<dl>", *constants, "</dl>"] if constants else []),
        *part("Errors mentioned", ["<ul>", *codes, "</ul>"] if codes else []),
    ]


def index_page(overview, headers, links, about):
    others = [header for header in headers if header is not overview]
    rows = [f'<tr><td><a href="{links.pages[one.page]}">{one.path}</a></td><td>{links.inline(one.title)}</td></tr>'
            for one in others]
    names = sorted(
        one.name for header in headers for one in header.of("function", "callback", "handle", "struct", "enum")
    )
    example = [f"<p>{escape(about['example_text'])}</p>", f"<pre>{escape(about['example'])}</pre>"]
    return [
        "<h1>librstream</h1>",
        *blocks(overview.doc, links),
        *part("Headers", ["<table>", *rows, "</table>"]),
        *part("Example", example if about["example"] else []),
        *part("Names", ["<ul>", *(f"<li><code>{links.to(name)}</code></li>" for name in names), "</ul>"]),
    ]


def html_pages(headers, about):
    """Texts of the pages by their file names."""
    links = Links(headers)
    files = {"style.css": STYLE}
    for header in headers:
        is_overview = header.page == "rstream"
        body = index_page(header, headers, links, about) if is_overview else header_page(header, links, about)
        title = "librstream" if is_overview else f"{header.path} - librstream"
        files[links.pages[header.page]] = page(title, body, headers, links, about)
    return files
