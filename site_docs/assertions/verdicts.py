"""What the FAQ said, and what is true, as Markdown for a page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sim.analysis.summary import summarize
from sim.errors import ExperimentError
from sim.experiment.release import NEWEST
from sim.reports.document import document
from sim.run import Run
from site_docs.assertions import ledger
from site_docs.assertions.ledger import Claim, Section
from site_docs.assertions.quantity import Quantity
from site_docs.runs.build_cache import cached_in_process, cached_on_disk
from site_docs.runs.evidence import evidence
from site_docs.runs.page_experiments import FAQ_RELEASE

CLAIMS = Path(__file__).parents[1] / "claims"

#: The kind of box that a verdict is in, and its word.
_BOXES = {"true": "success", "false": "failure", "depends": "question"}


#: A link of Markdown: a heading that opens a box cannot hold one.
_LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")


@cached_in_process
def sections() -> tuple[Section, ...]:
    """The whole ledger."""
    return ledger.read(CLAIMS)


def experiments() -> set[str]:
    """Names of those whose numbers some claim has."""
    claims = [claim for section in sections() for claim in section.claims]
    both = (*claims, *(claim.on(FAQ_RELEASE) for claim in claims))
    return {quantity.data for claim in both for quantity in claim.quantities}


def verdicts(heading: str) -> str:
    """The claims of one section of the FAQ, each in a box that opens.

    Raises:
        ExperimentError: when the FAQ has no such section, or a claim's numbers are not there.
    """
    for section in sections():
        if section.heading == heading:
            heading = "## What the FAQ said { #what-the-faq-said }"
            return f"{heading}\n\n{tally(section.claims)}\n\n{boxes(section)}"
    known = ", ".join(repr(section.heading) for section in sections())
    raise ExperimentError(f"{heading!r} is no section of the FAQ; expected one of {known}")


def boxes(section: Section) -> str:
    """The claims of a section, each in a box that opens."""
    return "\n\n".join(_box(claim) for claim in section.claims)


def counted(section: Section, release: str = NEWEST) -> Counter[str]:
    """How many claims of a section have which verdict on a release."""
    return _counted(section.claims, release)


def _counted(claims: Iterable[Claim], release: str) -> Counter[str]:
    return Counter((claim if release == NEWEST else claim.on(release)).verdict for claim in claims)


def tally(claims: Iterable[Claim] | None = None) -> str:
    """How many claims have which verdict, in words; of the whole ledger, if None are given."""
    if claims is None:
        claims = [claim for section in sections() for claim in section.claims]
    claims = tuple(claims)
    newest, faq = (_counted(claims, release) for release in (NEWEST, FAQ_RELEASE))
    return (
        f"{len(claims)} statements. On Gunicorn {NEWEST} {_tally(newest)}. On {FAQ_RELEASE}, which "
        f"they were written about, {_tally(faq)}. Each opens to its evidence."
    )


def _tally(counts: Counter[str]) -> str:
    true = "is" if counts["true"] == 1 else "are"
    depend = "depends" if counts["depends"] == 1 else "depend"
    return (
        f"{counts['true']} {true} true, {counts['false']} false, and {counts['depends']} {depend} "
        "on something"
    )


def _box(claim: Claim) -> str:
    quotation = " … ".join(_inline(quote) for quote in claim.words)
    older = claim.on(FAQ_RELEASE)
    body = [*_statement(claim), *_of_older(claim, older)]
    if claim.quantities:
        body.append(_numbers(claim.quantities, older.quantities))
    body.append(_sources(claim))
    text = "\n\n".join(body).replace("\n", "\n    ")
    verdict = claim.verdict.capitalize()
    if older.verdict != claim.verdict:
        verdict = f"{verdict} (on {FAQ_RELEASE}: {older.verdict})"
    return f'??? {_BOXES[claim.verdict]} "{verdict}: {quotation}"\n\n    {text}'


def _statement(claim: Claim) -> Iterator[str]:
    yield _filled(claim)
    if claim.depends_on is not None:
        yield f"It depends on {claim.depends_on}."


def _of_older(claim: Claim, older: Claim) -> Iterator[str]:
    """What is otherwise on the release that the FAQ was written about."""
    if (older.verdict, older.correct) == (claim.verdict, claim.correct):
        yield f"On Gunicorn {FAQ_RELEASE} the verdict is the same."
    else:
        first, *others = _statement(older)
        yield f"**On Gunicorn {FAQ_RELEASE}: {older.verdict}.** {first}"
        yield from others


def _inline(text: str) -> str:
    """Words of the FAQ as they can stand in the quotes of a heading."""
    text = _LINK.sub(r"\1", text)
    return text.strip().replace("\\", "\\\\").replace('"', "&quot;")


@cached_on_disk
def documents(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both sides of an experiment, each as `--json` would print it."""
    sides: tuple[tuple[Run, ...], ...] = (evidence(name).predicted, evidence(name).measured)
    predicted, measured = (document(summarize(runs)) for runs in sides)
    return predicted, measured


def _texts(quantity: Quantity) -> tuple[str, str]:
    predicted, measured = documents(quantity.data)
    return quantity.words(quantity.value(predicted)), quantity.words(quantity.value(measured))


def _filled(claim: Claim) -> str:
    both = {quantity.name: _texts(quantity) for quantity in claim.quantities}
    predicted = {name: text for name, (text, _) in both.items()}
    measured = {name: text for name, (_, text) in both.items()}
    return ledger.fill(claim.correct.strip(), predicted, measured)


def _numbers(quantities: Sequence[Quantity], older: Sequence[Quantity]) -> str:
    heads = " | ".join(f"{release}: predicted | measured" for release in (NEWEST, FAQ_RELEASE))
    lines = [f"| | {heads} | experiment |", "| --- | ---: | ---: | ---: | ---: | --- |"]
    for quantity, before in zip(quantities, older, strict=True):
        cells = " | ".join((*_texts(quantity), *_texts(before)))
        experiment = evidence(quantity.data).page_experiment
        lines.append(f"| {quantity.what} | {cells} | `{experiment.arguments}` |")
    both = (*quantities, *older)
    if apart := dict.fromkeys(quantity.apart for quantity in both if quantity.apart):
        lines += ["", *apart]
    return "\n".join(lines)


def _sources(claim: Claim) -> str:
    older = claim.on(FAQ_RELEASE)
    lines = [f"- `{source.at}`: `{source.line}`" for source in claim.sources]
    lines += [
        f"- {FAQ_RELEASE}: `{source.at}`: `{source.line}`"
        for source in older.sources
        if source not in claim.sources
    ]
    lines += [f"- {reference}" for reference in claim.references]
    lines += [f"- held by `{test}`" for test in dict.fromkeys((*claim.tests, *older.tests))]
    return "\n".join(lines)
