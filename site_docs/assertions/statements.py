"""What the pages state in words, and what holds each statement; see ``statements.toml``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.errors import ExperimentError
from sim.reading import toml_file
from site_docs.assertions.ledger import Source

FILE = Path(__file__).parents[1] / "statements.toml"
PAGES = Path(__file__).parents[1] / "pages"

_FRONT = re.compile(r"\A---\n.*?^---\n", re.MULTILINE | re.DOTALL)
_FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,3} (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Statement:
    """Words of a page, and what fails when they are no longer true.

    Attributes:
        page: from `PAGES`.
        section: the heading that the words are under.
        words: of that section.
        tests: pytest's node ids.
        sources: lines of Gunicorn that say so.
    """

    page: str
    section: str
    words: str
    tests: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class Plain:
    """A section that states nothing about Gunicorn.

    Attributes:
        page: from `PAGES`.
        section: its heading.
        why: it states nothing.
    """

    page: str
    section: str
    why: str


def read(path: Path = FILE) -> tuple[tuple[Statement, ...], tuple[Plain, ...]]:
    """The statements, and the sections without any.

    Raises:
        ExperimentError: when the file cannot be read, or an entry is not whole.
    """
    document = toml_file.load(path)
    toml_file.refuse_unknown(document, ("statement", "plain"), f"{path}:")
    statements = []
    for number, table in enumerate(document.get("statement", ()), start=1):
        where = f"{path}: [[statement]] {number}"
        rest = {key: value for key, value in table.items() if key != "source"}
        sources = tuple(
            Source(**_values(part, Source, f"{where} [[statement.source]]"))
            for part in table.get("source", ())
        )
        statement = Statement(**_values(rest, Statement, where), sources=sources)
        if not (statement.tests or statement.sources):
            raise ExperimentError(f"{where} has neither tests nor source; expected what holds it")
        statements.append(statement)
    plain = tuple(
        Plain(**_values(table, Plain, f"{path}: [[plain]] {number}"))
        for number, table in enumerate(document.get("plain", ()), start=1)
    )
    return tuple(statements), plain


def _values(table: Mapping[str, Any], schema: type, where: str) -> dict[str, Any]:
    values = toml_file.parse_table(table, schema, where)
    toml_file.refuse_missing(values, schema, where)
    return values


def sections(page: str) -> dict[str, str]:
    """The text under each heading of a page, without front matter and blocks of code.

    Args:
        page: from `PAGES`.
    """
    text = (PAGES / page).read_text(encoding="utf-8")
    parts = _HEADING.split(_FENCED.sub("", _FRONT.sub("", text)))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def plain_text(text: str) -> str:
    """Text in one line, without the marks of bold words."""
    return " ".join(text.replace("**", "").split())


def box(page: str, statements: Sequence[Statement]) -> str:
    """What holds a page's statements, in a box that opens; nothing where it has none."""
    lines = [
        f'    - {each.section}: "{each.words}" '
        + ", ".join(
            [f"`{test}`" for test in each.tests] + [f"`{source.at}`" for source in each.sources]
        )
        for each in statements
        if each.page == page
    ]
    if not lines:
        return ""
    return "\n".join(('\n??? info "What holds these sentences"', "", *lines, ""))
