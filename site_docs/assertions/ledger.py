"""The ledger: what the FAQ that this project replaces says, and what is true.

A directory holds a TOML file for each section of the FAQ, in the order of their names::

    section = "Which port do workers listen on?"   # the FAQ's heading

    [[claim]]
    id = "only-the-master-binds"
    under = "Key Points:"                           # the FAQ's nearest heading
    words = ["Only master process binds to `0.0.0.0:8000`"]   # the FAQ's, letter for letter
    verdict = "depends"                             # true | false | depends
    depends_on = "`--reuse-port`"                   # where the verdict is "depends"
    correct = "The master binds, and the workers inherit its socket; {late.measured} later ..."
    tests = ["tests/real/test_faq_sockets.py::test_all_processes_hold_one_listening_socket"]
    references = ["Linux, fork(2)"]                 # of what is not Python

    [[claim.source]]
    at = "gunicorn.sock:create_sockets"             # MODULE, MODULE:NAME or a file of this project
    line = "sock = sock_type(addr, conf, log)"      # in there, without its indentation

    [[claim.quantity]]                              # fields of
    `site_docs.assertions.quantity.Quantity` name = "late"
    what = "until all workers are ready"
    data = "boot"
    path = "events[kind=ready].time_s"
    unit = "s"

    [[claim.release]]                               # where an older release differs
    gunicorn = "23.0.0"
    verdict = "true"                                # and depends_on, correct, tests, source:
    correct = "The master binds, and nobody else."  # those that are left out are the claim's

    [[claim]]
    id = "single-port"
    under = "Key Takeaways:"
    words = ["**Single port for all** - Master binds to port"]
    repeats = "only-the-master-binds"               # all the rest is that claim's

    [[other]]
    lines = ["### Key Points:"]                     # of the FAQ, or parts of them
    why = "heading"                                 # why they state nothing

A claim is about the newest release and about the one that the FAQ was written about, each with
numbers of its own: those of an older release come from the same experiments on it.

Numbers that somebody predicted or measured are never in a text of the ledger: it refers to them
as ``{NAME.predicted}`` and ``{NAME.measured}``, and the data says which they are.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from string import Formatter
from typing import Any, Literal, get_args

from sim.errors import ExperimentError
from sim.experiment import release
from sim.reading import toml_file
from site_docs.assertions.quantity import Quantity
from site_docs.runs.page_experiments import on_release

Verdict = Literal["true", "false", "depends"]

_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TEST = re.compile(r"tests/(unit|model|real|site)/test_\w+\.py::test_\w+(\[.+\])?")

#: Keys of a table that are tables themselves.
_PARTS = ("source", "quantity", "release")

#: What a claim that repeats another one says by itself.
_OWN = ("id", "under", "words", "repeats")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a program, or a file of this project, says what a claim is about.

    Attributes:
        at: ``module``, ``module:function`` or ``module:Class.method`` of an installed package, or
            the path of a file of this project.
        line: of it, without indentation.
    """

    at: str
    line: str


@dataclass(frozen=True, slots=True)
class Older:
    """What a claim says of an older release; None and nothing are as on the newest.

    Attributes:
        gunicorn: the release.
        verdict: on the FAQ's words.
        correct: the statement as it should be.
        depends_on: what the verdict depends on, where this has a verdict of its own.
        tests: that hold the correct statement.
        sources: where that release says so.
        apart: why prediction and measurement are known to be further apart there than they should.
    """

    gunicorn: str
    verdict: str | None = None
    correct: str | None = None
    depends_on: str | None = None
    tests: tuple[str, ...] = ()
    apart: str | None = None
    sources: tuple[Source, ...] = field(default=(), metadata={"key": "source"})


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement of the FAQ.

    Attributes:
        id: names it, in the whole ledger.
        under: the heading of the FAQ that its words are under.
        words: the FAQ's: lines or parts of them, with their markup.
        verdict: on them.
        correct: the statement as it should be, in Markdown.
        tests: pytest's node ids of what holds the correct statement.
        sources: where the programs say so; there are none where `references` say it.
        quantities: the numbers of the correct statement, and more to show beside it.
        depends_on: what the verdict depends on.
        references: to documents that no test can look into.
        repeats: id of the claim from which all but `under` and `words` is.
        older: what differs on older releases.
    """

    id: str
    under: str
    words: tuple[str, ...]
    verdict: Verdict
    correct: str
    tests: tuple[str, ...]
    sources: tuple[Source, ...]
    quantities: tuple[Quantity, ...] = ()
    depends_on: str | None = None
    references: tuple[str, ...] = ()
    repeats: str | None = None
    older: tuple[Older, ...] = ()

    def on(self, gunicorn: str) -> Claim:
        """The claim about an older release: its numbers, and whatever differs there."""
        numbers = tuple(
            replace(quantity, data=on_release(quantity.data, gunicorn))
            for quantity in self.quantities
        )
        claim = replace(self, quantities=numbers, older=())
        for older in self.older:
            if older.gunicorn == gunicorn:
                claim = replace(
                    claim,
                    correct=older.correct or claim.correct,
                    tests=older.tests or claim.tests,
                    sources=older.sources or claim.sources,
                    quantities=tuple(
                        replace(quantity, apart=quantity.apart or older.apart)
                        for quantity in claim.quantities
                    ),
                )
                if older.verdict is not None:
                    verdict: Verdict = older.verdict  # type: ignore[assignment] # `read` has looked
                    claim = replace(claim, verdict=verdict, depends_on=older.depends_on)
        return claim


@dataclass(frozen=True, slots=True)
class Other:
    """Lines of the FAQ that state nothing.

    Attributes:
        lines: the FAQ's, or parts of them.
        why: they are no statement.
    """

    lines: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the FAQ.

    Attributes:
        file: that says it.
        heading: the FAQ's.
        claims: in the file's order.
        others: what is no claim.
    """

    file: Path
    heading: str
    claims: tuple[Claim, ...]
    others: tuple[Other, ...]


@dataclass(frozen=True, slots=True)
class _Written:
    """The keys of a claim's table, before claims that repeat others are filled in."""

    id: str
    under: str
    words: tuple[str, ...]
    verdict: str = ""
    correct: str = ""
    tests: tuple[str, ...] = ()
    depends_on: str | None = None
    references: tuple[str, ...] = ()
    repeats: str | None = None
    sources: tuple[Source, ...] = field(default=(), metadata={"key": "source"})
    quantities: tuple[Quantity, ...] = field(default=(), metadata={"key": "quantity"})
    older: tuple[Older, ...] = field(default=(), metadata={"key": "release"})


def read(directory: Path) -> tuple[Section, ...]:
    """The sections of a ledger, in order.

    Raises:
        ExperimentError: when a file cannot be read, or a claim is not whole; the message names
            file, claim and key.
    """
    files = sorted(directory.glob("*.toml"))
    if not files:
        raise ExperimentError(f"{directory}: has no file *.toml; expected one for each section")
    documents = [(path, toml_file.load(path)) for path in files]
    written = [(path, _claims(document, str(path))) for path, document in documents]
    originals: dict[str, _Written] = {}
    for path, claims in written:
        for claim in claims:
            if claim.id in originals:
                raise ExperimentError(f"{path}: claim {claim.id!r}: id is another claim's too")
            originals[claim.id] = claim
    return tuple(
        Section(
            path,
            _heading(document, str(path)),
            tuple(_whole(claim, originals, f"{path}: claim {claim.id!r}:") for claim in claims),
            _others(document, str(path)),
        )
        for (path, document), (_, claims) in zip(documents, written, strict=True)
    )


def fill(text: str, predicted: Mapping[str, str], measured: Mapping[str, str]) -> str:
    """A text of the ledger with its numbers, which the mappings have in words, by name."""
    return "".join(
        before
        + (
            ""
            if name is None
            else (predicted if name.endswith(".predicted") else measured)[name.partition(".")[0]]
        )
        for before, name, _, _ in Formatter().parse(text)
    )


def _heading(document: Mapping[str, Any], where: str) -> str:
    toml_file.refuse_unknown(document, ("section", "claim", "other"), f"{where}:")
    heading = document.get("section")
    if not isinstance(heading, str) or not heading:
        raise ExperimentError(
            f"{where}: section is {heading!r}; expected the FAQ's heading in quotes"
        )
    return heading


def _tables(table: Mapping[str, Any], key: str, where: str) -> Sequence[Mapping[str, Any]]:
    tables = table.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(item, dict) for item in tables):
        raise ExperimentError(f"{where} {key} is {reprlib.repr(tables)}; expected tables [[{key}]]")
    return tables


def _claims(document: Mapping[str, Any], where: str) -> list[_Written]:
    claims = []
    for number, table in enumerate(_tables(document, "claim", f"{where}:"), start=1):
        name = table.get("id")
        if not isinstance(name, str) or not _ID.fullmatch(name):
            raise ExperimentError(
                f"{where}: [[claim]] {number}: id is {name!r}; expected words such as 'backlog'"
            )
        place = f"{where}: claim {name!r}:"
        plain = {key: value for key, value in table.items() if key not in _PARTS}
        known = [f.name for f in fields(_Written) if not f.metadata]
        toml_file.refuse_unknown(plain, (*known, *_PARTS), place)
        values = toml_file.parse_table(plain, _Written, place)
        toml_file.refuse_missing(values, _Written, place)
        claims.append(
            _Written(
                **values,
                sources=_parts(table, "source", Source, place),
                quantities=_parts(table, "quantity", Quantity, place),
                older=_older(table, place),
            )
        )
    return claims


def _older(table: Mapping[str, Any], where: str) -> tuple[Older, ...]:
    releases = []
    for number, part in enumerate(_tables(table, "release", where), start=1):
        place = f"{where} [[claim.release]] {number}"
        plain = {key: value for key, value in part.items() if key != "source"}
        values = toml_file.parse_table(plain, Older, place)
        toml_file.refuse_missing(values, Older, place)
        try:
            release.release(values["gunicorn"])
        except ExperimentError as error:
            raise ExperimentError(f"{place} {error}") from None
        releases.append(Older(**values, sources=_parts(part, "source", Source, place)))
    return tuple(releases)


def _parts(table: Mapping[str, Any], key: str, schema: type, where: str) -> tuple[Any, ...]:
    parts = []
    for number, part in enumerate(_tables(table, key, where), start=1):
        place = f"{where} [[claim.{key}]] {number}"
        values = toml_file.parse_table(part, schema, place)
        toml_file.refuse_missing(values, schema, place)
        try:
            parts.append(schema(**values))
        except ExperimentError as error:
            raise ExperimentError(f"{place} {error}") from None
    return tuple(parts)


def _others(document: Mapping[str, Any], where: str) -> tuple[Other, ...]:
    others = []
    for number, table in enumerate(_tables(document, "other", f"{where}:"), start=1):
        place = f"{where}: [[other]] {number}"
        values = toml_file.parse_table(table, Other, place)
        toml_file.refuse_missing(values, Other, place)
        others.append(Other(**values))
        _refuse_empty(values, place)
    return tuple(others)


def _refuse_empty(values: Mapping[str, Any], where: str) -> None:
    for key, value in values.items():
        if not value or (isinstance(value, tuple) and not all(value)):
            raise ExperimentError(f"{where} {key} is empty; expected text")


def _whole(claim: _Written, originals: Mapping[str, _Written], where: str) -> Claim:
    """The claim with all that is another's, and nothing missing."""
    if claim.repeats is not None:
        original = originals.get(claim.repeats)
        if original is None or original.repeats is not None:
            raise ExperimentError(
                f"{where} repeats is {claim.repeats!r}; expected the id of a claim that has a "
                "verdict of its own"
            )
        for item in fields(claim):
            if item.name not in _OWN and getattr(claim, item.name) != item.default:
                key = item.metadata.get("key", item.name)
                raise ExperimentError(f"{where} {key} is said, but the claim repeats another")
        claim = replace(original, **{name: getattr(claim, name) for name in _OWN})
    _refuse_incomplete(claim, where)
    whole = Claim(**{item.name: getattr(claim, item.name) for item in fields(Claim)})
    for older in whole.older:
        of_release = whole.on(older.gunicorn)
        values = {item.name: getattr(of_release, item.name) for item in fields(_Written)}
        _refuse_incomplete(_Written(**values), f"{where} [[claim.release]] {older.gunicorn}:")
    return whole


def _refuse_incomplete(claim: _Written, where: str) -> None:
    needed = ("under", "words", "correct", "tests")
    _refuse_empty({name: getattr(claim, name) for name in needed}, where)
    if claim.verdict not in get_args(Verdict):
        expected = f"expected one of {', '.join(get_args(Verdict))}"
        raise ExperimentError(f"{where} verdict is {claim.verdict!r}; {expected}")
    if (claim.verdict == "depends") is not bool(claim.depends_on):
        expected = "something" if claim.verdict == "depends" else "nothing"
        raise ExperimentError(
            f"{where} depends_on is {claim.depends_on!r}; the verdict is {claim.verdict!r}, so "
            f"expected {expected}"
        )
    if not (claim.sources or claim.references):
        raise ExperimentError(f"{where} source is missing; expected [[claim.source]] or references")
    for test in claim.tests:
        if not _TEST.fullmatch(test):
            expected = "expected a node id such as 'tests/real/test_boot.py::test_boot'"
            raise ExperimentError(f"{where} tests has {test!r}; {expected}")
    names = [quantity.name for quantity in claim.quantities]
    if len(set(names)) < len(names):
        raise ExperimentError(f"{where} quantity has the same name twice; expected different ones")
    known = {f"{name}.{side}" for name in names for side in ("predicted", "measured")}
    for name in _references(claim.correct, where):
        if name not in known:
            problem = f"{where} correct refers to {{{name}}}"
            raise ExperimentError(
                f"{problem}; expected one of {', '.join(sorted(known)) or 'none'}"
            )


def _references(text: str, where: str) -> list[str]:
    try:
        return [name for _, name, _, _ in Formatter().parse(text) if name is not None]
    except ValueError as error:
        raise ExperimentError(f"{where} correct has a brace that means nothing ({error})") from None
