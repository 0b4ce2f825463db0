# SPDX-License-Identifier: Apache-2.0
"""Manual pages and HTML, as they are installed: complete, well formed, the same each time."""

import html.parser
import os
import re
import sys

import pytest
from conftest import SOURCE, run

sys.path.insert(0, str(SOURCE / "docs/reference"))

import headers  # noqa: E402

GENERATE = [sys.executable, "-B", SOURCE / "docs/reference/generate.py"]
TOOL_PAGE = SOURCE / "Sources/rstreamctl/rstreamctl.1"
HEADERS = headers.read_headers()
DECLARATIONS = [one for header in HEADERS for one in header.of("function", "callback", "handle", "struct", "enum")]
CONSTANTS = [member.name for one in DECLARATIONS if one.kind == "enum" for member in one.members]


@pytest.fixture(scope="session")
def manual(prefix):
    [page] = prefix.rglob("rstream_client.3")
    return page.parent


@pytest.fixture(scope="session")
def website(prefix):
    [page] = prefix.rglob("doc/librstream/html/index.html")
    return page.parent


@pytest.fixture(scope="session")
def dated(tmp_path_factory):
    """The manual pages as a package has them: with a date."""
    folder = tmp_path_factory.mktemp("dated")
    run(*GENERATE, "--man", folder, env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"})
    return folder


def is_alias(page):
    return page.read_text().startswith(".so ")


def man(manual, *words):
    return run("man", *words, env=os.environ | {"MANPATH": str(manual.parent), "MANWIDTH": "100", "LC_ALL": "C.UTF-8"})


def test_man_finds_every_name(manual):
    found = man(manual, "--where", "3", *[one.name for one in DECLARATIONS]).split()
    assert len(found) == len(DECLARATIONS)
    for header in HEADERS:
        text = man(manual, "3", header.page)
        for one in header.of("function", "callback", "handle", "struct", "enum"):
            assert re.search(rf"^   {one.name}$", text, re.MULTILINE), one.name


def test_man_shows_the_page_that_explains_a_name(manual):
    assert man(manual, "3", "rstream_client_dial") == man(manual, "3", "rstream_client")
    assert man(manual, "3", "rstream_read_cb") == man(manual, "3", "rstream_stream")


def test_every_constant_is_in_a_page(manual):
    text = "".join(page.read_text() for page in manual.iterdir())
    assert [name for name in CONSTANTS if f"\\fB{name}\\fP = " not in text] == []


def test_page_of_every_header_has_its_sections(manual):
    for header in HEADERS:
        text = (manual / f"{header.page}.3").read_text()
        titles = re.findall(r"^\.SH \"?([A-Z ]+)", text, re.MULTILINE)
        assert titles[:3] == ["NAME", "SYNOPSIS", "DESCRIPTION"] and titles[-1] == "SEE ALSO"
        for function in header.of("function"):
            assert re.search(rf"^\.SS {function.name}$", text, re.MULTILINE)
            for parameter in function.parameters:
                assert f"\\fI{parameter.name}\\fP" in text


def test_mandoc_finds_nothing_to_say(dated):
    pages = [page for page in sorted(dated.iterdir()) if not is_alias(page)]
    assert len(pages) == len(HEADERS)
    for page in [*pages, TOOL_PAGE]:
        assert run("mandoc", "-T", "lint", "-W", "style", page) == ""


def test_groff_finds_nothing_to_say(dated):
    for page in [*(page for page in sorted(dated.iterdir()) if not is_alias(page)), TOOL_PAGE]:
        command = ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]
        environment = os.environ | {"LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANROFFSEQ": ""}
        assert run("sh", "-c", '"$@" 2>&1 >/dev/null', "sh", *command, page, env=environment) == ""


def test_same_tree_gives_the_same_pages(dated, manual, website, tmp_path):
    run(*GENERATE, "--man", tmp_path / "man", "--html", tmp_path / "html",
        env={name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"})
    again = {page.name: page.read_text() for page in (tmp_path / "man").iterdir()}
    assert not [name for name, text in again.items() if re.search(r"\d{4}-\d\d-\d\d", text)]
    epochless = {page.name: re.sub(r'" 3 "[^"]*"', '" 3 ""', page.read_text()) for page in manual.iterdir()}
    assert epochless.keys() == again.keys()
    assert {page.name: page.read_bytes() for page in website.iterdir()} == {
        page.name: page.read_bytes() for page in (tmp_path / "html").iterdir()
    }
    assert '3 "2023-11-14"' in (dated / "rstream.3").read_text()


class Page(html.parser.HTMLParser):
    """What an HTML page links to and which ids it has; complains about tags that do not match."""

    VOID = {"meta", "link", "br"}

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.ids = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.links += [attributes["href"]] if "href" in attributes else []
        self.ids += [attributes["id"]] if "id" in attributes else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_well_formed_and_its_links_lead_somewhere(website):
    pages = {page.name: Page(page.read_text()) for page in website.glob("*.html")}
    assert len(pages) == len(HEADERS)
    for name, page in pages.items():
        assert len(set(page.ids)) == len(page.ids), name
        for link in page.links:
            target, _, anchor = link.partition("#")
            assert (website / target).is_file(), link
            assert not anchor or anchor in pages[target].ids, link


def test_html_explains_every_name(website):
    pages = {page.name: Page(page.read_text()) for page in website.glob("*.html")}
    ids = {name for page in pages.values() for name in page.ids}
    assert {one.name for one in DECLARATIONS} | set(CONSTANTS) <= ids
    assert {f"#{one.name}" for one in DECLARATIONS} <= {f"#{link.split('#')[-1]}" for link in pages["index.html"].links}


# rstreamctl(1) is kept by hand.


@pytest.fixture(scope="session")
def rstreamctl(build_dir):
    return build_dir / "rstreamctl"


def options_of_page(title):
    """What follows the options of a part of the page, by the option."""
    [part] = re.findall(rf"^\.SS {title}\n(.*?)(?=^\.S[SH])", TOOL_PAGE.read_text(), re.MULTILINE | re.DOTALL)
    terms = re.findall(r"^\.TP\n\.(?:B|BI) (\\-\\-.*)$", part, re.MULTILINE)
    return dict(term.replace("\\~ ", " ").replace("\\-", "-").partition(" ")[::2] for term in terms)


def options_of_help(text):
    [part] = re.findall(r"^Options:\n(.*?)\n\n", text, re.MULTILINE | re.DOTALL)
    return dict(re.findall(r"^  (--[\w-]+) ?(\S*)  ", part, re.MULTILINE))


def commands(rstreamctl):
    [part] = re.findall(r"^Commands:\n(.*?)\n\n", run(rstreamctl, "--help"), re.MULTILINE | re.DOTALL)
    return re.findall(r"^  (\w+) ", part, re.MULTILINE)


def test_manual_page_of_rstreamctl_has_every_command(rstreamctl):
    described = re.findall(r"^\.SS rstreamctl (\w+)$", TOOL_PAGE.read_text(), re.MULTILINE)
    assert sorted(described) == sorted(commands(rstreamctl)), "Sources/rstreamctl/rstreamctl.1 and --help disagree"


def test_manual_page_of_rstreamctl_has_every_option(rstreamctl):
    for command in commands(rstreamctl):
        wanted = options_of_help(run(rstreamctl, command, "--help"))
        described = options_of_page(f"rstreamctl {command}") | {"--help": ""}
        if "--engine" in wanted:
            described |= options_of_page("Options of clients")
        assert described == wanted, f"Sources/rstreamctl/rstreamctl.1 and 'rstreamctl {command} --help' disagree"


def test_manual_page_of_rstreamctl_has_every_exit_code(rstreamctl):
    wanted = re.findall(r"^  (\d)  ", run(rstreamctl, "engine", "--help"), re.MULTILINE)
    [part] = re.findall(r"^\.SH EXIT STATUS\n(.*?)(?=^\.SH)", TOOL_PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert re.findall(r"^\.B (\d)$", part, re.MULTILINE) == wanted


def test_manual_page_of_rstreamctl_is_installed(prefix):
    assert (prefix / "share/man/man1/rstreamctl.1").read_text() == TOOL_PAGE.read_text()
