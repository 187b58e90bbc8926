"""The pages' sentences: each that matters names the test, or the source, that holds it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from node_ids import node_ids
from source_text import source_text

from sim.errors import ExperimentError
from site_docs.assertions import statements
from site_docs.assertions.statements import PAGES, Plain, Statement, box, plain_text, sections

ROOT = Path(__file__).resolve().parents[2]
STATEMENTS, PLAIN = statements.read()
ALL_PAGES = [path.relative_to(PAGES).as_posix() for path in sorted(PAGES.rglob("*.md"))]

#: Sections in which numbers, charts and tables come from the data; ``holds`` has their words.
DATA = re.compile(r"\{\{|\{%")

#: Jinja's statements, in which labels of rows stand.
LOGIC = re.compile(r"\{%.*?%\}", re.DOTALL)

#: Words of a bold phrase from which on it is a sentence, and has to be held.
SENTENCE = 6

#: The page whose every section names what holds it, data or not.
STRICT = "trouble.md"


@cache
def collected() -> frozenset[str]:
    """Node ids of all tests in the files that the statements name."""
    return node_ids(test for each in STATEMENTS for test in each.tests)


def name_of(each: Statement | Plain) -> str:
    return f"{each.page} {each.section}: {getattr(each, 'words', '')[:40]}"


@pytest.mark.parametrize("each", STATEMENTS, ids=name_of)
def test_a_statement_is_the_pages_and_something_holds_it(each: Statement) -> None:
    found = sections(each.page)
    assert each.section in found, f"{each.page} has no section {each.section!r}"
    assert plain_text(each.words) in plain_text(found[each.section])
    assert [test for test in each.tests if test not in collected()] == []
    for source in each.sources:
        assert source.line in [line.strip() for line in source_text(source.at).splitlines()]


@pytest.mark.parametrize("page", ALL_PAGES)
def test_every_section_of_a_page_is_held_or_states_nothing(page: str) -> None:
    held = {each.section for each in STATEMENTS if each.page == page}
    plain = {each.section for each in PLAIN if each.page == page}
    assert held & plain == set(), "a section that states something is not plain"
    missing = []
    for heading, text in sections(page).items():
        if heading in held | plain or not plain_text(text):
            continue
        if page == STRICT or not DATA.search(text + heading):
            missing.append(heading)
    assert missing == []


@pytest.mark.parametrize("page", ALL_PAGES)
def test_every_bold_sentence_of_a_page_is_held(page: str) -> None:
    held = [plain_text(each.words) for each in STATEMENTS if each.page == page]
    plain = {each.section for each in PLAIN if each.page == page}
    bare = []
    for heading, text in sections(page).items():
        for bold in re.findall(r"\*\*(.+?)\*\*", LOGIC.sub("", text), re.DOTALL):
            words = " ".join(bold.split())
            # A question, an option of a list and a sentence whose numbers are data state nothing.
            if heading in plain or len(words.split()) < SENTENCE or DATA.search(words):
                continue
            if not words.endswith("?") and not any(words in each for each in held):
                bare.append(words)
    assert bare == []


def test_what_states_nothing_exists_and_says_why() -> None:
    for each in PLAIN:
        assert each.section in sections(each.page), each
        assert each.why


def test_a_box_names_each_statement_of_its_page_only() -> None:
    text = box("api.md", STATEMENTS)
    assert text.count("\n    - ") == len([each for each in STATEMENTS if each.page == "api.md"])
    assert "tests/unit/test_walls.py::" in text
    assert box("glossary.md", STATEMENTS) == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('page = "a"\nsection = "b"\nwords = "c"', "has neither tests nor source"),
        ('page = "a"\nsection = "b"\ntests = ["c"]', "has no key 'words'"),
        ('page = "a"\nsecton = "b"', "has an unknown key 'secton'"),
    ],
)
def test_an_entry_that_is_not_whole_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "statements.toml"
    path.write_text(f"[[statement]]\n{text}\n", encoding="utf-8")
    with pytest.raises(ExperimentError, match=re.escape(message)):
        statements.read(path)
