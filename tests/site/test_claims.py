"""The ledger of claims: nothing of the FAQ is left out, nothing in it stands without evidence."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from node_ids import node_ids
from release_of import release_of
from source_text import source_text

from sim.analysis.summary import summarize
from sim.errors import ExperimentError
from sim.model.simulation import predict
from sim.reports.document import document
from site_docs.assertions import ledger
from site_docs.assertions.ledger import Claim, Section, Source, fill
from site_docs.assertions.quantity import Quantity, look_up
from site_docs.runs.evidence import evidence
from site_docs.runs.page_experiments import FAQ_RELEASE

ROOT = Path(__file__).resolve().parents[2]
CLAIMS = ROOT / "site_docs" / "claims"

SUPPORT = Path(__file__).parents[1] / "support"

#: The FAQ that the site replaces, as it was.
_REPLACED = SUPPORT / "replaced_faq.txt"
FAQ = _REPLACED.read_text(encoding="utf-8").splitlines()

SECTIONS = ledger.read(CLAIMS)
ALL = {claim.id: claim for section in SECTIONS for claim in section.claims}
ORIGINALS = {name: claim for name, claim in ALL.items() if claim.repeats is None}

#: A number with a unit that somebody has measured or predicted; settings stand in backquotes.
TYPED = re.compile(r"\d\s*(ms|s|MB|kB|%|/s|requests|threads|times)\b")


def heading_of(line: str) -> str | None:
    match = re.fullmatch(r"#+ (.+)", line)
    return match and match[1]


def headed_lines() -> Iterator[tuple[str, str, str]]:
    """Every line of the FAQ that is not blank, with its section's and its nearest heading."""
    section = nearest = ""
    code = False
    for line in FAQ:
        code ^= line.startswith("```")
        heading = None if code else heading_of(line)
        if heading is not None:
            nearest = heading
            section = heading if line.startswith(("# ", "## ")) else section
        if line.strip():
            yield section, nearest, line


LINES = tuple(headed_lines())


def occurrences(words: str, line: str) -> list[re.Match[str]]:
    """Where whole words stand in a line."""
    return list(re.finditer(rf"(?<!\w){re.escape(words)}(?!\w)", line))


def test_only_whole_words_are_found() -> None:
    assert len(occurrences("a worker", "a worker, and a workers' queue")) == 1
    assert occurrences("master", "webmaster") == []


# --- nothing is left out -------------------------------------------------------------------------


def test_every_section_of_the_faq_has_its_file() -> None:
    assert [section.heading for section in SECTIONS] == list(dict.fromkeys(s for s, _, _ in LINES))


@pytest.mark.parametrize("claim", ALL.values(), ids=ALL)
def test_the_words_of_a_claim_are_the_faqs(claim: Claim) -> None:
    (heading,) = (section.heading for section in SECTIONS if claim in section.claims)
    there = [line for section, under, line in LINES if (section, under) == (heading, claim.under)]
    assert there, f"nothing in {heading!r} is under {claim.under!r}"
    missing = [words for words in claim.words if not any(occurrences(words, x) for x in there)]
    assert not missing


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.file.stem)
def test_every_word_of_a_section_is_claimed_or_listed_as_no_statement(section: Section) -> None:
    uncovered = []
    for heading, under, line in LINES:
        if heading != section.heading:
            continue
        parts = [words for claim in section.claims if claim.under == under for words in claim.words]
        parts += [words for other in section.others for words in other.lines]
        # What has neither letter nor digit, as the frame of a diagram, states nothing.
        left = list(re.sub(r"[^\w]|_", " ", line))
        for words in parts:
            for match in occurrences(words, line):
                left[match.start() : match.end()] = " " * len(match[0])
        if "".join(left).strip():
            uncovered.append(line)
    assert uncovered == []


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.file.stem)
def test_what_is_listed_as_no_statement_is_in_the_section(section: Section) -> None:
    there = [line for heading, _, line in LINES if heading == section.heading]
    listed = [words for other in section.others for words in other.lines]
    assert [words for words in listed if not any(occurrences(words, line) for line in there)] == []


# --- nothing stands without evidence -------------------------------------------------------------


@cache
def collected() -> frozenset[str]:
    """Node ids of all tests in the files that the ledger names."""
    return node_ids(test for claim in ALL.values() for test in claim.tests)


@pytest.mark.parametrize("claim", ORIGINALS.values(), ids=ORIGINALS)
def test_the_tests_of_a_claim_exist(claim: Claim) -> None:
    assert [test for test in claim.tests if test not in collected()] == []


SOURCES = {source: name for name, claim in ORIGINALS.items() for source in claim.sources}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: f"{SOURCES[source]} {source.at}")
def test_a_source_says_what_is_quoted(source: Source) -> None:
    assert source.line in [line.strip() for line in source_text(source.at).splitlines()]


def test_the_release_that_the_faq_was_written_about_is_in_its_log() -> None:
    assert f"[INFO] Starting gunicorn {FAQ_RELEASE}" in FAQ


OLDER = {name: claim.on(FAQ_RELEASE) for name, claim in ORIGINALS.items()}


def test_sources_of_the_older_release_say_what_is_quoted() -> None:
    """A claim that says nothing of its own about that release has the same lines there."""
    gunicorn = release_of(FAQ_RELEASE)
    quoted = [
        (name, source)
        for name, claim in OLDER.items()
        for source in claim.sources
        if source.at.startswith("gunicorn.")
    ]
    assert len(quoted) > 80
    done = subprocess.run(
        [sys.executable, "-m", "source_text"],
        input=json.dumps([source.at for _, source in quoted]),
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(gunicorn.directory), str(SUPPORT)])},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    texts = json.loads(done.stdout)
    missing = [
        (name, source)
        for (name, source), text in zip(quoted, texts, strict=True)
        if source.line not in [line.strip() for line in text.splitlines()]
    ]
    assert missing == []


#: Claims about the container, the SDK, or Linux: Gunicorn has no part in what their tests measure.
OF_NO_RELEASE = frozenset(
    {
        "all-in-one-container",
        "docker-compose-starts-it",
        "launchdarkly-calls-are-io",
        "master-is-process-1",
        "sdk-threads-are-separate",
        "threads-start-fast",
    }
)


@pytest.mark.parametrize("claim", OLDER.values(), ids=OLDER)
def test_every_claim_is_measured_on_the_release_that_it_was_written_about(claim: Claim) -> None:
    """By numbers of an experiment on that release, or by a test that runs on it."""
    run_on_it = [test for test in claim.tests if f"{test}[{FAQ_RELEASE}]" in collected()]
    measured = claim.quantities or run_on_it
    assert bool(measured) != (claim.id in OF_NO_RELEASE)


@pytest.mark.parametrize(
    "claim",
    [*ORIGINALS.values(), *OLDER.values()],
    ids=[*ORIGINALS, *(f"{name} {FAQ_RELEASE}" for name in OLDER)],
)
def test_no_number_is_typed_by_hand(claim: Claim) -> None:
    for text in filter(None, (claim.correct, claim.depends_on)):
        prose = re.sub(r"`[^`]*`", "", text)
        assert not TYPED.search(prose), text


# --- every number is in the data, on both sides --------------------------------------------------

QUANTITIES = {
    f"{claim.id} {quantity.name}{on}": quantity
    for on, claims in (("", ORIGINALS), (f" {FAQ_RELEASE}", OLDER))
    for claim in claims.values()
    for quantity in claim.quantities
}

#: Of the measured number, and for times of processes in s, by which the sides may be apart.
RELATIVE, ABSOLUTE = 0.1, 0.1


#: Predictions beside those that the pages show, where these do not meet what was measured: the
#: server took one of its rarer chances.
MORE_VARIANTS = 60


@cache
def documents(name: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """One document for each variant that is predicted, and for each repeat that was measured."""
    found = evidence(name)
    predicted, measured = (
        [document(summarize([run])) for run in runs] for runs in (found.predicted, found.measured)
    )
    return predicted, measured


@cache
def more_predictions(name: str) -> list[dict[str, Any]]:
    found = evidence(name)
    variants = range(len(found.predicted), len(found.predicted) + MORE_VARIANTS)
    return [document(summarize([predict(found.experiment, 0, number)])) for number in variants]


def allowed(quantity: Quantity, measured: float) -> float:
    """How far the nearest prediction may be from the nearest measurement, in the unit."""
    match quantity.unit:
        case "threads" | "connections":
            return 0.0
        case "share":
            return 0.05
        case "requests":
            return 2 + RELATIVE * measured
        case _ if quantity.path.startswith(("recovery", "events")):
            return max(ABSOLUTE, RELATIVE * measured)
    return RELATIVE * measured


def sides_meet(
    quantity: Quantity, predictions: list[dict[str, Any]], measurements: list[dict[str, Any]]
) -> bool:
    """Whether some prediction is close to some measurement, or neither side knows a number."""
    predicted, measured = (
        [value for value in map(quantity.value, side) if value is not None]
        for side in (predictions, measurements)
    )
    if not predicted or not measured:
        return not predicted and not measured
    gap = max(min(predicted) - max(measured), min(measured) - max(predicted))
    return gap <= allowed(quantity, fmean(measured))


@pytest.mark.parametrize("quantity", QUANTITIES.values(), ids=QUANTITIES)
def test_prediction_and_measurement_agree_or_it_is_said_why_not(quantity: Quantity) -> None:
    predictions, measurements = documents(quantity.data)
    assert (
        sides_meet(quantity, predictions, measurements)
        or quantity.apart is not None
        or sides_meet(quantity, more_predictions(quantity.data), measurements)
    )


# --- the reader ----------------------------------------------------------------------------------

GOOD = """
section = "A"
[[claim]]
id = "a"
under = "A"
words = ["w"]
verdict = "true"
correct = "It is {n.predicted}, and was {n.measured}."
tests = ["tests/real/test_x.py::test_y"]
[[claim.source]]
at = "gunicorn.sock"
line = "import os"
[[claim.quantity]]
name = "n"
what = "of them"
data = "worker-killed"
path = "recovery[0].lost"
unit = "requests"
[[claim]]
id = "b"
under = "A"
words = ["v"]
repeats = "a"
[[other]]
lines = ["x"]
why = "heading"
"""


def read_text(tmp_path: Path, text: str) -> tuple[Section, ...]:
    (tmp_path / "1-a.toml").write_text(text, encoding="utf-8")
    return ledger.read(tmp_path)


def test_a_claim_that_repeats_another_has_its_evidence(tmp_path: Path) -> None:
    ((first, second),) = (section.claims for section in read_text(tmp_path, GOOD))
    assert (second.id, second.words, second.repeats) == ("b", ("v",), "a")
    assert (second.verdict, second.tests) == (first.verdict, first.tests)
    assert (second.sources, second.quantities) == (first.sources, first.quantities)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('section = "A"', "section = 1", "1-a.toml: section is 1; expected the FAQ's heading"),
        ('section = "A"', 'secton = "A"', "1-a.toml: has an unknown key 'secton'; did you mean"),
        ('id = "a"', 'id = "A B"', "1-a.toml: [[claim]] 1: id is 'A B'; expected words such as"),
        ('id = "b"', 'id = "a"', "1-a.toml: claim 'a': id is another claim's too"),
        ('words = ["w"]', "words = []", "1-a.toml: claim 'a': words is empty; expected text"),
        ('words = ["w"]', 'words = "w"', "1-a.toml: claim 'a': words is 'w'; expected a list"),
        ('"true"', '"yes"', "claim 'a': verdict is 'yes'; expected one of true, false, depends"),
        ('"true"', '"depends"', "claim 'a': depends_on is None; the verdict is 'depends', so"),
        ('correct = "It', 'corect = "It', "claim 'a': has an unknown key 'corect'; did you mean"),
        ("n.predicted", "m.predicted", "claim 'a': correct refers to {m.predicted}; expected one"),
        ("{n.predicted}", "{n.predicted", "claim 'a': correct has a brace that means nothing"),
        ("::test_y", "", "claim 'a': tests has 'tests/real/test_x.py'; expected a node id such as"),
        ('at = "gunicorn.sock"\n', "", "claim 'a': [[claim.source]] 1 has no key 'at'; expected"),
        ("recovery[0].lost", "recovery[0", "claim 'a': [[claim.quantity]] 1 path is 'recovery[0'"),
        ('"requests"', '"apples"', "claim 'a': [[claim.quantity]] 1 unit is 'apples'; expected"),
        ('repeats = "a"', 'repeats = "c"', "claim 'b': repeats is 'c'; expected the id of a"),
        ('repeats = "a"', 'repeats = "b"', "claim 'b': repeats is 'b'; expected the id of a"),
        (
            'repeats = "a"',
            'repeats = "a"\ncorrect = "x"',
            "claim 'b': correct is said, but the claim repeats another",
        ),
        (
            'repeats = "a"',
            'repeats = "a"\n[[claim.release]]\ngunicorn = "23.0.0"',
            "claim 'b': release is said, but the claim repeats another",
        ),
        (
            '[[claim]]\nid = "b"',
            '[[claim.release]]\ngunicorn = "23"\n[[claim]]\nid = "b"',
            "claim 'a': [[claim.release]] 1 gunicorn is '23'; expected one of the releases",
        ),
        (
            '[[claim]]\nid = "b"',
            '[[claim.release]]\nverdict = "true"\n[[claim]]\nid = "b"',
            "claim 'a': [[claim.release]] 1 has no key 'gunicorn'",
        ),
        (
            '[[claim]]\nid = "b"',
            '[[claim.release]]\ngunicorn = "23.0.0"\nverdict = "no"\n[[claim]]\nid = "b"',
            "claim 'a': [[claim.release]] 23.0.0: verdict is 'no'; expected one of",
        ),
        ('repeats = "a"', "", "claim 'b': correct is empty; expected text"),
        ('why = "heading"', 'why = ""', "1-a.toml: [[other]] 1 why is empty; expected text"),
        ('why = "heading"', "", "1-a.toml: [[other]] 1 has no key 'why'; expected text in quotes"),
    ],
)
def test_a_ledger_is_refused_by_file_claim_and_key(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in GOOD
    with pytest.raises(ExperimentError, match=re.escape(message)) as caught:
        read_text(tmp_path, GOOD.replace(old, new, 1))
    assert "\n" not in str(caught.value)
    assert "1-a.toml" in str(caught.value)


OTHERWISE = """
[[claim.release]]
gunicorn = "23.0.0"
verdict = "depends"
depends_on = "that"
correct = "It was {n.measured}."
"""


def test_a_claim_about_an_older_release_is_whole(tmp_path: Path) -> None:
    text = GOOD.replace('\n[[claim]]\nid = "b"', f'{OTHERWISE}[[claim]]\nid = "b"')
    (section,) = read_text(tmp_path, text)
    first, second = section.claims
    older = first.on("23.0.0")
    assert (older.verdict, older.depends_on) == ("depends", "that")
    assert older.correct == "It was {n.measured}."
    assert (older.tests, older.sources) == (first.tests, first.sources)
    assert [quantity.data for quantity in older.quantities] == ["worker-killed@23.0.0"]
    # What repeats a claim repeats all of it; and no release but that one differs.
    assert second.on("23.0.0").correct == older.correct
    assert first.on("22.0.0").verdict == first.verdict


def test_a_directory_without_claims_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="has no file"):
        ledger.read(tmp_path)


def test_a_text_is_filled_with_words() -> None:
    text = "{n.predicted} of `{{}}`, {n.measured}."
    assert fill(text, {"n": "1 ms"}, {"n": "2 ms"}) == "1 ms of `{}`, 2 ms."


DOCUMENT = {"a": {"b": 1.5}, "rows": [{"kind": "x", "at": 2}, {"kind": "y", "at": None}]}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b", 1.5),
        ("rows[0].at", 2),
        ("rows[kind=x].at", 2),
        ("rows[kind=x,at=2].at", 2),
        ("rows[kind=y].at", None),
    ],
)
def test_a_path_leads_to_a_number(path: str, value: float | None) -> None:
    assert look_up(DOCUMENT, path) == value


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "expected keys and places"),
        ("a..b", "expected keys and places"),
        ("a.c", "a.c: a has no key 'c'"),
        ("c", "c: the document has no key 'c'"),
        ("a[0]", "a[0]: a is no list"),
        ("rows[2].at", "rows[2].at: rows has no item [2]"),
        ("rows[kind=z].at", "rows has no item [kind=z]"),
        ("rows[kind=y,at=2].at", "rows has no item [kind=y,at=2]"),
        ("rows[0].kind", "is 'x'; expected a number or null"),
        ("a", "expected a number or null"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(path: str, message: str) -> None:
    with pytest.raises(ExperimentError, match=re.escape(message)):
        look_up(DOCUMENT, path)


@pytest.mark.parametrize(
    ("unit", "value", "words"),
    [
        ("s", 0.01234, "12.3 ms"),
        ("s", 3.456, "3.46 s"),
        ("s", None, "never"),
        ("share", 0.5, "50 %"),
        ("B", 19_795_000.0, "19.8 MB"),
        ("requests", 1234.0, "1,234 requests"),
        ("threads", 13.0, "13 threads"),
        ("requests", 1.0, "1 request"),
        ("requests", 1.1, "1.1 requests"),
    ],
)
def test_a_number_in_words(unit: str, value: float | None, words: str) -> None:
    quantity = Quantity("n", "of them", "x", "a.b", unit, null="never")  # type: ignore[arg-type]
    assert quantity.words(value) == words


def test_a_time_counts_from_another() -> None:
    quantity = Quantity("n", "it took", "x", "rows[kind=x].at", "s", since="a.b")
    assert quantity.value(DOCUMENT) == pytest.approx(0.5)
